import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SNIFFED, sniffCompression, takeStart } from '../../../src/tar/sniff.js';

describe('how bytes are compressed', () => {
	test.each([
		['1f8b08', 'gzip'],
		['28b52ffd00', 'zstd'],
		['502a4d1804000000', 'zstd'],
		['5f2a4d18', 'zstd'],
		['425a6839', 'bzip2'],
		['fd377a585a00', 'xz'],
		['fd377a5858', 'none'],
		['1f', 'none'],
		['', 'none'],
		['7573746172', 'none'],
	])('%s: %s', (hex, expected) => {
		expect(sniffCompression(Buffer.from(hex, 'hex'))).toBe(expected);
	});
});

test('the start is as long as asked, and nothing is lost, whatever the chunking', async () => {
	const input = fc.array(fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)));
	await fc.assert(
		fc.asyncProperty(input, fc.integer({ min: 1, max: 20 }), async (chunks, count) => {
			const whole = Buffer.concat(chunks);
			const { start, all } = await takeStart(stream(chunks), count);
			expect(start).toEqual(whole.subarray(0, count));
			expect(await gather(all)).toEqual(whole);
		}),
	);
	expect(SNIFFED).toBeGreaterThanOrEqual(6);
});

async function* stream(chunks: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
	for (const chunk of chunks) yield await Promise.resolve(chunk);
}

async function gather(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
	const all: Buffer[] = [];
	for await (const chunk of chunks) all.push(chunk);
	return Buffer.concat(all);
}

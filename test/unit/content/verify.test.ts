import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readBytes, verifyChunks, verifyStream } from '../../../src/content/verify.js';
import { descriptorOf } from '../../support/images.js';

const mismatch = expect.objectContaining({ code: 'DIGEST_MISMATCH' }) as Error;

async function* chunks(...parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
	for (const part of parts) {
		await Promise.resolve();
		yield part;
	}
}

describe('verifyChunks', () => {
	test('passes the right bytes under any chunking', async () => {
		const parts = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 });
		await fc.assert(
			fc.asyncProperty(parts, async (pieces) => {
				const all = Buffer.concat(pieces);
				const read = await readBytes(verifyChunks(chunks(...pieces), descriptorOf(all), 'x'), all.length, 'x');
				expect(Buffer.compare(read, all)).toBe(0);
			}),
		);
	});

	test('refuses any other bytes, whatever their length', async () => {
		const blob = fc.uint8Array({ maxLength: 20 });
		await fc.assert(
			fc.asyncProperty(blob, blob, async (expected, found) => {
				fc.pre(Buffer.compare(expected, found) !== 0);
				await expect(readBytes(verifyChunks(chunks(found), descriptorOf(expected), 'x'), 99, 'x')).rejects.toThrow(
					mismatch,
				);
			}),
		);
	});

	test('stops as soon as there are more bytes than declared', async () => {
		let taken = 0;
		const endless = (async function* () {
			for (;;) {
				taken += 1;
				await Promise.resolve();
				yield Buffer.alloc(10);
			}
		})();
		const blob = descriptorOf(Buffer.alloc(25));
		await expect(readBytes(verifyChunks(endless, blob, 'x'), 1000, 'x')).rejects.toThrow(mismatch);
		expect(taken).toBe(3);
	});

	test('sha512 digests are verified too', async () => {
		const digest = 'sha512:b5'.padEnd(135, '0') as never;
		await expect(readBytes(verifyChunks(chunks(), { digest, size: 0 }, 'x'), 1, 'x')).rejects.toThrow(mismatch);
	});
});

test('destroying a verified stream destroys its content', async () => {
	const content = Readable.from(chunks(Buffer.alloc(10), Buffer.alloc(10)));
	const verified = verifyStream(content, descriptorOf(Buffer.alloc(20)), 'x');
	const closed = new Promise((resolve) => content.once('close', resolve));
	verified.destroy();
	await closed;
	expect(content.destroyed).toBe(true);
});

test('readBytes refuses more than its limit', async () => {
	await expect(readBytes(chunks(Buffer.alloc(5), Buffer.alloc(6)), 10, 'the config')).rejects.toThrow(
		'the config is larger than 10 bytes',
	);
});

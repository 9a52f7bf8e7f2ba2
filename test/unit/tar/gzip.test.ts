import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createGzipWriter } from '../../../src/tar/gzip.js';
import { cutAt } from '../../support/tar.js';

async function gzip(chunks: readonly Buffer[]): Promise<Buffer> {
	const output: Buffer[] = [];
	const writer = createGzipWriter((chunk) => void output.push(Buffer.from(chunk)));
	for (const chunk of chunks) await writer.write(chunk);
	await writer.end();
	return Buffer.concat(output);
}

describe('the gzip writer', () => {
	test('gives back what went in', async () => {
		await fc.assert(
			fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
				const input = Buffer.from(bytes);
				expect(gunzipSync(await gzip([input])).equals(input)).toBe(true);
			}),
			{ numRuns: 50 },
		);
	});

	test('gives the same bytes however the input is cut', async () => {
		const input = Buffer.concat([Buffer.alloc(1_500_000, 'the same words again and again '), randomBytes(900_000)]);
		const whole = await gzip([input]);
		expect(gunzipSync(whole).equals(input)).toBe(true);
		const cuts = fc.array(fc.nat(input.length), { maxLength: 8 });
		await fc.assert(
			fc.asyncProperty(cuts, async (at) => {
				expect((await gzip(cutAt(input, at))).equals(whole)).toBe(true);
			}),
			{ numRuns: 6 },
		);
	});

	test.each([0, 1, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20])('keeps an input of %i bytes', async (size) => {
		const input = Buffer.alloc(size, 'abcdefg');
		expect(gunzipSync(await gzip([input])).equals(input)).toBe(true);
	});

	test('names no time, no system and no file', async () => {
		expect((await gzip([Buffer.from('x')])).subarray(0, 10)).toEqual(Buffer.from([31, 139, 8, 0, 0, 0, 0, 0, 0, 255]));
	});

	test('gives of zeros, in chunks of any size and between other bytes, what it gives of all at once', async () => {
		const input = Buffer.concat([
			randomBytes(70_000),
			Buffer.alloc(7 * 2 ** 20),
			randomBytes(9),
			Buffer.alloc(2 ** 21),
		]);
		const whole = await gzip([input]);
		expect(gunzipSync(whole).equals(input)).toBe(true);
		for (const size of [256 * 1024, 100_000]) {
			const chunks = Array.from({ length: Math.ceil(input.length / size) }, (_none, index) =>
				input.subarray(index * size, (index + 1) * size),
			);
			expect((await gzip(chunks)).equals(whole)).toBe(true);
		}
	});

	test('finds what repeats across its blocks', async () => {
		const noise = randomBytes(30_000);
		const input = Buffer.concat([Buffer.alloc(2 ** 20 - noise.length, 0), noise, noise]);
		expect((await gzip([input])).length).toBeLessThan(noise.length + 10_000);
	});

	test('does not keep the caller’s chunk', async () => {
		const chunk = Buffer.from('first');
		const output: Buffer[] = [];
		const writer = createGzipWriter((part) => void output.push(Buffer.from(part)));
		await writer.write(chunk);
		chunk.fill('x');
		await writer.end();
		expect(gunzipSync(Buffer.concat(output)).toString()).toBe('first');
	});
});

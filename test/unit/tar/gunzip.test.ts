import { constants, crc32, deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadInflater } from '../../../src/linux/inflate.js';
import { decompress } from '../../../src/tar/decompress.js';
import { gunzip } from '../../../src/tar/gunzip.js';
import { needs } from '../../support/needs.js';
import { chunksOf, cutAt } from '../../support/tar.js';

const found = await loadInflater();
const never = new AbortController().signal;
const damaged = expect.objectContaining({ code: 'LAYER_INVALID' }) as Error;

async function joined(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
	const parts: Buffer[] = [];
	for await (const chunk of chunks) parts.push(Buffer.from(chunk));
	return Buffer.concat(parts);
}

/** Only called where the host has the library. */
function expand(chunks: readonly Buffer[]): Promise<Buffer> {
	if (found === undefined) throw new Error('this host lacks libisal.so.2');
	return joined(gunzip(chunks, found, never));
}

/** What came out, or the code of the error. */
function outcome(bytes: Promise<Buffer>): Promise<string> {
	return bytes.then(
		(all) => all.toString('latin1'),
		(error: unknown) => `refused: ${(error as { code: string }).code}`,
	);
}

function withHeader(flags: number, fields: Buffer, body: Buffer): Buffer {
	const header = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3]), fields]);
	const checked = (flags & 2) === 0 ? header : Buffer.concat([header, uint16(crc32(header) & 0xffff)]);
	const trailer = Buffer.alloc(8);
	trailer.writeUInt32LE(crc32(body), 0);
	trailer.writeUInt32LE(body.length, 4);
	return Buffer.concat([checked, deflateRawSync(body), trailer]);
}

function uint16(number: number): Buffer {
	return Buffer.from([number & 0xff, number >> 8]);
}

const body = fc.oneof(
	fc.uint8Array({ maxLength: 3000 }),
	fc.array(fc.constantFrom(1, 2, 3), { maxLength: 3000 }).map((bytes) => Uint8Array.from(bytes)),
);
const settings = fc.record({
	level: fc.integer({ min: 0, max: 9 }),
	strategy: fc.constantFrom(constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE),
});
const cuts = fc.array(fc.nat(3000), { maxLength: 6 });

describe('inflating by the library of the host', () => {
	beforeEach((context) => needs(context, found !== undefined, 'this host lacks libisal.so.2'));

	test('gives back what was compressed, in every kind of block, however it is cut', async () => {
		await fc.assert(
			fc.asyncProperty(body, settings, cuts, async (bytes, how, at) => {
				expect(await expand(cutAt(gzipSync(bytes, how), at))).toEqual(Buffer.from(bytes));
			}),
			{ numRuns: 300 },
		);
	});

	test('gives back what is larger than its own memory, in input that is larger too', async () => {
		const large = Buffer.from(Array.from({ length: 1_500_000 }, (_, index) => (index * index) >> 7));
		const stored = gzipSync(large, { level: 0 });
		expect((await expand([gzipSync(large)])).equals(large)).toBe(true);
		expect((await expand([stored, stored])).equals(Buffer.concat([large, large]))).toBe(true);
		expect((await expand([gzipSync(Buffer.alloc(5_000_000))])).length).toBe(5_000_000);
	});

	test('says of damaged input what zlib says', async () => {
		const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 3 });
		await fc.assert(
			fc.asyncProperty(body, settings, damage, fc.nat(40), cuts, async (bytes, how, changes, cut, pieces) => {
				const whole = Buffer.concat([gzipSync(bytes, how), gzipSync('more')]);
				for (const [place, change] of changes) {
					const at = place % whole.length;
					whole.writeUInt8(whole.readUInt8(at) ^ change, at);
				}
				const input = cutAt(whole.subarray(0, whole.length - cut), pieces);
				const expected = await outcome(joined(decompress('gzip', chunksOf(input), '', never)));
				expect(await outcome(expand(input))).toBe(expected);
			}),
			{ numRuns: 300 },
		);
	});

	test('reads several members that come byte by byte, and zeros after the last', async () => {
		const all = Buffer.concat([gzipSync('one '), gzipSync(''), gzipSync('two'), Buffer.alloc(20)]);
		expect((await expand(Array.from(all, (byte) => Buffer.from([byte])))).toString()).toBe('one two');
	});

	test.each<[string, number, string]>([
		['a name', 8, 'file\0'],
		['a comment', 16, 'words\0'],
		['an extra field', 4, '\x03\0abc'],
		['a checksum of the header', 2, ''],
		['all of them', 30, '\x03\0abcfile\0words\0'],
	])('passes over %s in the header, wherever it is cut', async (_what, flags, fields) => {
		const bytes = withHeader(flags, Buffer.from(fields, 'latin1'), Buffer.from('content'));
		for (let cut = 1; cut < 40; cut++) expect((await expand(cutAt(bytes, [cut]))).toString()).toBe('content');
	});

	test.each<[string, Buffer]>([
		['a wrong checksum of the header', withHeader(2, Buffer.alloc(0), Buffer.from('a')).fill(0xff, 10, 12)],
		['unknown flags', withHeader(0x80, Buffer.alloc(0), Buffer.from('a'))],
		['a name that never ends', withHeader(8, Buffer.alloc(200_000, 'x'), Buffer.from('a'))],
		['a wrong length', Buffer.concat([gzipSync('abc').subarray(0, -4), Buffer.alloc(4, 1)])],
		['rubbish after its end', Buffer.concat([gzipSync('abc'), Buffer.from('rubbish')])],
		['nothing in it', Buffer.alloc(0)],
	])('refuses %s', async (_what, bytes) => {
		await expect(expand(cutAt(bytes, [5, 150_000]))).rejects.toThrow(damaged);
	});

	test('begins anew after a stream that was given up', async () => {
		await expect(expand([gzipSync('a'.repeat(1000)).subarray(0, 20)])).rejects.toThrow(damaged);
		expect((await expand([gzipSync('abc')])).toString()).toBe('abc');
	});
});

test('a stream of empty members takes linear time', async (context) => {
	needs(context, found !== undefined, 'this host lacks libisal.so.2');
	const empty = gzipSync('');
	const chunk = Buffer.alloc(empty.length * 12_000, empty);
	const began = performance.now();
	expect(await expand(Array.from({ length: 20 }, () => chunk))).toHaveLength(0);
	expect(performance.now() - began).toBeLessThan(8000);
});

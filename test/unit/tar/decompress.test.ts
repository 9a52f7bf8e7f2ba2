import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Compression, decompress } from '../../../src/tar/decompress.js';
import { temporaryDirectory } from '../../support/fs.js';
import { chunksOf, cutAt } from '../../support/tar.js';

/** `zstd -c` of `hello ` twenty times, `zstd -c --no-check` of `second`, and a skippable frame (RFC 8878 3.1.2). */
const HELLO = Buffer.from('KLUv/QRYbQAAMGhlbGxvIAEAL2kpAno+fCg=', 'base64');
const SECOND = Buffer.from('KLUv/QBYMQAAc2Vjb25k', 'base64');
const SKIPPABLE = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
const hello = 'hello '.repeat(20);

async function expand(compression: Compression, chunks: readonly Buffer[]): Promise<string> {
	using directory = temporaryDirectory();
	const spool = join(directory.path, 'spool');
	const parts: Buffer[] = [];
	try {
		for await (const part of decompress(compression, chunksOf(chunks), spool, new AbortController().signal)) {
			parts.push(Buffer.from(part));
		}
	} finally {
		expect(existsSync(spool)).toBe(false);
	}
	return Buffer.concat(parts).toString('latin1');
}

const damaged = expect.objectContaining({ code: 'LAYER_INVALID' }) as Error;

describe('decompression', () => {
	test('passes plain bytes on', async () => {
		expect(await expand('none', [Buffer.from('a'), Buffer.from('b')])).toBe('ab');
	});

	test('gives back what was compressed, however it is cut', async () => {
		const input = fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes));
		await fc.assert(
			fc.asyncProperty(input, fc.array(fc.nat(3000), { maxLength: 6 }), async (bytes, cuts) => {
				expect(await expand('gzip', cutAt(gzipSync(bytes), cuts))).toBe(bytes.toString('latin1'));
			}),
			{ numRuns: 40 },
		);
	});

	test('reads gzip of several members', async () => {
		expect(await expand('gzip', [gzipSync('one '), Buffer.concat([gzipSync('two '), gzipSync('three')])])).toBe(
			'one two three',
		);
	});

	test('ignores zeros after the last gzip member', async () => {
		expect(await expand('gzip', [gzipSync('one'), Buffer.alloc(2000)])).toBe('one');
	});

	test.each<[string, readonly Buffer[]]>([
		['no bytes at all', []],
		['bytes that are no gzip', [Buffer.from('no gzip at all')]],
		['a cut stream', [gzipSync('a'.repeat(1000)).subarray(0, 20)]],
		['a cut trailer', [gzipSync('abc').subarray(0, -4)]],
		['a wrong checksum', [Buffer.concat([gzipSync('abc').subarray(0, -8), Buffer.alloc(8, 1)])]],
		['a second member that is damaged', [gzipSync('abc'), gzipSync('def').subarray(0, 12)]],
	])('refuses gzip with %s', async (_what, chunks) => {
		await expect(expand('gzip', chunks)).rejects.toThrow(damaged);
	});

	test('reads zstd with and without checksum, in several frames, with skippable ones between', async () => {
		expect(await expand('zstd', [HELLO])).toBe(hello);
		expect(await expand('zstd', [Buffer.concat([HELLO, SKIPPABLE, SECOND, SKIPPABLE])])).toBe(`${hello}second`);
	});

	test('reads zstd of any content in any number of frames, however it is cut', async () => {
		const contents = fc.array(
			fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
			{ minLength: 1, maxLength: 5 },
		);
		await fc.assert(
			fc.asyncProperty(contents, fc.array(fc.nat(1500), { maxLength: 6 }), async (parts, cuts) => {
				const frames = Buffer.concat(parts.flatMap((part) => [zstdCompressSync(part), SKIPPABLE]));
				expect(await expand('zstd', cutAt(frames, cuts))).toBe(Buffer.concat(parts).toString('latin1'));
			}),
			{ numRuns: 40 },
		);
	});

	test('reads zstd that comes byte by byte', async () => {
		expect(
			await expand(
				'zstd',
				Array.from(HELLO, (byte) => Buffer.from([byte])),
			),
		).toBe(hello);
	});

	test.each<[string, Buffer]>([
		['bytes that are no zstd', Buffer.from('no zstd at all, not even close')],
		['zeros after its end', Buffer.concat([HELLO, Buffer.alloc(100)])],
		['a damaged second frame', Buffer.concat([HELLO, Buffer.from('rubbish, and more of it')])],
		['a reserved block type', Buffer.concat([SECOND.subarray(0, 6), Buffer.from([0xff]), SECOND.subarray(7)])],
	])('refuses zstd with %s, and does not loop', async (_what, bytes) => {
		await expect(expand('zstd', [bytes])).rejects.toThrow(damaged);
	});

	test('never gives wrong bytes or hangs for zstd that was cut', async () => {
		for (let length = 1; length < HELLO.length; length++) {
			const text = await expand('zstd', [HELLO.subarray(0, length)]).catch(() => '');
			expect(hello.startsWith(text)).toBe(true);
		}
	});

	test('passes on the error of its input as it is', async () => {
		const failing = async function* () {
			yield await Promise.resolve(gzipSync('abc').subarray(0, 5));
			throw new RangeError('the connection broke');
		};
		const read = async () => {
			for await (const part of decompress('gzip', failing(), '/nowhere', new AbortController().signal)) {
				expect(part).toHaveLength(3);
			}
		};
		await expect(read()).rejects.toThrow(new RangeError('the connection broke'));
	});

	test('ends with the reason of the signal', async () => {
		const stop = new AbortController();
		const endless = async function* () {
			for (;;) {
				yield await Promise.resolve(gzipSync('abc'));
				stop.abort(new Error('enough'));
			}
		};
		const read = async () => {
			for await (const part of decompress('gzip', endless(), '/nowhere', stop.signal)) {
				expect(part.toString()).toMatch(/^(abc)+$/);
			}
		};
		await expect(read()).rejects.toThrow();
	});
});

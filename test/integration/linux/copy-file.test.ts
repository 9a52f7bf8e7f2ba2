import {
	chmodSync,
	closeSync,
	ftruncateSync,
	openSync,
	readFileSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
	writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyLargeFile } from '../../../src/linux/copy-file.js';
import { loadLibc } from '../../../src/linux/libc.js';
import { temporaryDirectory } from '../../support/fs.js';
import { needs } from '../../support/needs.js';

const KIB = 1024;
const SIGNAL = new AbortController().signal;

/** Writes `parts` at their offsets in KiB, and makes the file `size` bytes long. */
function makeFile(path: string, parts: readonly (readonly [number, number])[], size: number): void {
	rmSync(path, { force: true });
	const file = openSync(path, 'w');
	for (const [index, [offset, length]] of parts.entries()) {
		writeSync(file, Buffer.alloc(length * KIB, index + 1), 0, length * KIB, offset * KIB);
	}
	ftruncateSync(file, size);
	closeSync(file);
}

describe.each([
	['with libc', loadLibc],
	['without libc', () => Promise.resolve(undefined)],
] as const)('%s', (_name, load) => {
	test('a copy has the bytes and no fewer holes, wherever data and holes are', async () => {
		using directory = temporaryDirectory();
		const [from, to] = [join(directory.path, 'from'), join(directory.path, 'to')];
		const libc = await load();
		const part = fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 1500 }));
		await fc.assert(
			fc.asyncProperty(fc.array(part, { maxLength: 4 }), fc.nat(6000 * KIB), async (parts, size) => {
				makeFile(from, parts, size);
				rmSync(to, { force: true });
				await copyLargeFile(from, to, libc, SIGNAL);
				expect(readFileSync(to).equals(readFileSync(from))).toBe(true);
				// Without system calls, what shares a piece of 1 MiB with data is data.
				const exact = libc === undefined ? 4096 * parts.length + 64 : 64;
				expect(statSync(to).blocks).toBeLessThanOrEqual(statSync(from).blocks + exact);
			}),
			{ numRuns: 60 },
		);
	});

	test('a signal ends it in the middle of a file', async () => {
		using directory = temporaryDirectory();
		const from = join(directory.path, 'from');
		writeFileSync(from, '');
		truncateSync(from, 1024 ** 4);
		const seek = (_fd: number, offset: number, what: 'data' | 'hole', size: number) =>
			what === 'data' ? offset : size;
		const stop = new AbortController();
		const copying = copyLargeFile(from, join(directory.path, 'to'), (await load()) && { seek }, stop.signal);
		await sleep(100);
		const reason = new Error('stopped');
		const began = performance.now();
		stop.abort(reason);
		await expect(copying).rejects.toBe(reason);
		expect(performance.now() - began).toBeLessThan(500);
	});
});

test('a file that is nothing but a hole takes no time', async (context) => {
	const libc = await loadLibc();
	needs(context, libc !== undefined, 'koffi has no binary here');
	using directory = temporaryDirectory();
	const [from, to] = [join(directory.path, 'from'), join(directory.path, 'to')];
	writeFileSync(from, 'x');
	truncateSync(from, 1024 ** 4);
	await copyLargeFile(from, to, libc, SIGNAL);
	expect(statSync(to)).toMatchObject({ size: 1024 ** 4 });
	expect(statSync(to).blocks).toBeLessThanOrEqual(16);
});

test('permissions are kept, set-id bits are not; nothing is written over, and a device is no file', async () => {
	using directory = temporaryDirectory();
	const [from, to] = [join(directory.path, 'from'), join(directory.path, 'to')];
	writeFileSync(from, 'text');
	chmodSync(from, 0o6751);
	await copyLargeFile(from, to, undefined, SIGNAL);
	expect(statSync(to).mode & 0o7777).toBe(0o751);
	await expect(copyLargeFile(from, to, undefined, SIGNAL)).rejects.toMatchObject({ code: 'EEXIST' });
	await expect(copyLargeFile('/dev/zero', join(directory.path, 'x'), undefined, SIGNAL)).rejects.toMatchObject({
		code: 'EINVAL',
	});
});

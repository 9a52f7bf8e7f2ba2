import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { loadLibc } from '../../../src/linux/libc.js';
import type { PackedLayer } from '../../../src/oci/descriptor.js';
import { type RootPath, rawPath } from '../../../src/root-path.js';
import { packLayer } from '../../../src/rootfs/pack.js';
import type { Put } from '../../../src/rootfs/tree.js';
import { readTar } from '../../support/built.js';

const MIB = 1 << 20;

interface Packed {
	readonly layer: PackedLayer;
	readonly bytes: Buffer;
	/** Bytes that were read of the file. */
	readonly read: number;
}

/** A file of `size` bytes with `parts` of text at their offsets and holes elsewhere. */
function makeSparse(size: number, parts: Readonly<Record<number, string>>): string {
	const directory = mkdtempSync(join(tmpdir(), 's2oci-holes-'));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	const file = openSync(join(directory, 'file'), 'w');
	for (const [offset, text] of Object.entries(parts)) writeSync(file, text, Number(offset));
	closeSync(file);
	truncateSync(join(directory, 'file'), size);
	return directory;
}

async function pack(directory: string, knowsHoles: boolean): Promise<Packed> {
	const libc = await loadLibc();
	if (libc === undefined) throw new Error('koffi has no binary here');
	const { size } = statSync(join(directory, 'file'));
	const entry = { type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, size } as const;
	const change: Put = { type: 'put', path: 'file' as RootPath, entry, replaces: false, inode: '1' };
	let read = 0;
	const seek = (fd: number, offset: number, what: 'data' | 'hole', length: number) => {
		const found = knowsHoles ? libc.seek(fd, offset, what, length) : what === 'data' ? offset : length;
		if (what === 'hole') read += found - offset;
		return found;
	};
	const path = join(directory, 'layer');
	const output = openSync(path, 'w');
	const declare = () => change;
	const options = { epoch: 0, progress: () => undefined, declare, libc: { ...libc, seek } };
	const layer = await packLayer([change], rawPath(directory), output, options, new AbortController().signal);
	closeSync(output);
	return { layer, bytes: readFileSync(path), read };
}

test.each([
	['begins with data and ends with a hole', { 0: 'begin' }],
	['begins with a hole', { [20 * MIB]: 'middle', [31 * MIB]: 'more' }],
	['ends with data', { [32 * MIB + 6]: 'the end' }],
	['is nothing but a hole', {}],
])('a file that %s gives the bytes that reading all of it gives, and its holes are not read', async (_what, parts) => {
	const directory = makeSparse(32 * MIB + 13, parts);
	const [dense, sparse] = [await pack(directory, false), await pack(directory, true)];
	expect(sparse.layer).toEqual(dense.layer);
	expect(sparse.bytes.equals(dense.bytes)).toBe(true);
	expect(sparse.read).toBeLessThan(MIB);
	const content = (await readTar(gunzipSync(sparse.bytes))).get('file')?.content ?? '';
	const hash = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
	expect(hash(content)).toBe(hash(readFileSync(join(directory, 'file'))));
});

test('a file that is larger than a layer may be is refused at once, whatever it takes on disk', async () => {
	const directory = makeSparse(2 ** 40, { 0: 'begin' });
	const begun = performance.now();
	await expect(pack(directory, true)).rejects.toMatchObject({
		code: 'ASSEMBLE_FAILED',
		message: expect.stringMatching(/more than 128 GiB of files; the last one, "\/file", has 1024\.0 GiB/) as string,
	});
	expect(performance.now() - begun).toBeLessThan(5000);
});

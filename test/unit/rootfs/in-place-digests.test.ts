import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RootPath, rawPath } from '../../../src/root-path.js';
import { digestFile, openDigestDisk, readLayerDigests, writeLayerDigests } from '../../../src/rootfs/layer-digests.js';
import type { LayerEntry } from '../../../src/rootfs/tree.js';
import { unpackLayer } from '../../../src/rootfs/unpack.js';
import type { TarEntry } from '../../../src/tar/entry.js';
import { temporaryDirectory } from '../../support/fs.js';
import { tarDirectory, tarFile, tarHardLink, tarOf, tarSymlink } from '../../support/tar.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64');
const signal = new AbortController().signal;

/** The digests of the files of a layer, read in pieces of `size` bytes. */
async function digestsOf(tar: Buffer, size = 1000): Promise<Readonly<Record<string, string | undefined>>> {
	const { disk, digests } = openDigestDisk();
	async function* chunks() {
		for (let at = 0; at < tar.length; at += size) yield await Promise.resolve(tar.subarray(at, at + size));
	}
	const options = {
		root: rawPath('/nonexistent'),
		ids: { uids: 1, gids: 1 },
		libc: undefined,
		whiteouts: true,
		maxBytes: 2 ** 20,
	};
	const { entries } = await unpackLayer(chunks(), { ...options, disk }, signal);
	const isFile = ([, entry]: readonly [string, LayerEntry]) => entry.type === 'file';
	return Object.fromEntries([...entries].filter(isFile).map(([path]) => [path, digests.get(path)]));
}

describe('a layer of which only the index is kept', () => {
	test('has the digest of every file, however its tar is cut', async () => {
		const names = fc.constantFrom('a', 'b', 'd/a', 'd/e/f');
		const file = fc.tuple(names, fc.string({ maxLength: 2000 }));
		await fc.assert(
			fc.asyncProperty(fc.array(file, { maxLength: 8 }), fc.integer({ min: 1, max: 3000 }), async (files, size) => {
				const tar = tarOf(files.map(([name, body]) => tarFile(name, body)));
				const last = Object.fromEntries(files.map(([name, body]) => [name, sha256(body)]));
				expect(await digestsOf(tar, size)).toEqual(last);
			}),
			{ numRuns: 50 },
		);
	});

	test('has the same digest for a hard link, and none for what a later entry replaced', async () => {
		const tar = tarOf([
			...[tarDirectory('d'), tarFile('d/a', 'a'), tarHardLink('link', 'd/a'), tarFile('gone', 'x')],
			...[tarSymlink('gone', 'd/a'), tarFile('d/a', 'new'), tarFile('.wh.other')],
		]);
		expect(await digestsOf(tar)).toEqual({ 'd/a': sha256('new'), link: sha256('a') });
	});

	test('keeps its digests in the store, with every byte of a name', () => {
		using directory = temporaryDirectory();
		const { disk, digests } = openDigestDisk();
		disk.openFile('x\xff\n"' as RootPath, {} as TarEntry);
		disk.writeFile(Buffer.from('body'));
		disk.closeFile();
		writeLayerDigests(directory.path, digests);
		expect(readLayerDigests(directory.path)).toEqual(digests);
		writeFileSync(join(directory.path, 'digests.json'), '{"cut": ');
		expect(readLayerDigests(directory.path)).toBeUndefined();
	});

	test('has digests that are those of the files on disk', () => {
		using directory = temporaryDirectory();
		const path = join(directory.path, 'file');
		writeFileSync(path, 'x'.repeat(600_000));
		expect(digestFile(rawPath(path))).toBe(sha256('x'.repeat(600_000)));
		expect(() => digestFile(rawPath(join(directory.path, 'missing')))).toThrow(/ENOENT/);
	});
});

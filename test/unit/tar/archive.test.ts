import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readBytes } from '../../../src/content/verify.js';
import { type ArchiveFile, packArchive } from '../../../src/tar/archive.js';
import { readTar } from '../../support/built.js';

const signal = AbortSignal.timeout(10_000);
const file = (name: string): ArchiveFile => ({
	name,
	size: 1,
	open: () => Promise.resolve(Readable.from([Buffer.from('x')], { objectMode: false })),
});

test('an archive has each directory once, before what is in it', async () => {
	const files = ['list', 'blobs/sha256/a', 'blobs/sha256/b', 'blobs/c'].map(file);
	const entries = await readTar(await readBytes(packArchive(files, signal), 100_000, 'it'));
	const found = [...entries].map(([name, { header, content }]) => [name, header.type, header.mode, content]);
	expect(found).toEqual([
		['list', 'file', 0o644, 'x'],
		['blobs', 'directory', 0o755, ''],
		['blobs/sha256', 'directory', 0o755, ''],
		['blobs/sha256/a', 'file', 0o644, 'x'],
		['blobs/sha256/b', 'file', 0o644, 'x'],
		['blobs/c', 'file', 0o644, 'x'],
	]);
});

import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rawPath } from '../../../src/root-path.js';
import { unpackLayer } from '../../../src/rootfs/unpack.js';
import { temporaryDirectory } from '../../support/fs.js';
import { chunksOf, tarDirectory, tarFile, tarOf } from '../../support/tar.js';

const FILES = 20_000;
const MODES = [0o644, 0o666, 0o777, 0o4775, 0o600, 0o020];

test('files have their modes, and programs the usual umask, when they are made and started at once', async () => {
	using directory = temporaryDirectory();
	const root = join(directory.path, 'root');
	mkdirSync(root);
	const modeOf = (index: number) => MODES[index % MODES.length] ?? 0;
	const members = Array.from({ length: FILES }, (_, index) =>
		tarFile(`d/${String(index)}`, '', { mode: modeOf(index) }),
	);
	const tar = tarOf([tarDirectory('d', { mode: 0o2777 }), ...members]);
	const umask = process.umask(0o022);
	const umasks = new Set<string>();
	try {
		const parts = Array.from({ length: 40 }, (_, at) =>
			tar.subarray((at * tar.length) / 40, ((at + 1) * tar.length) / 40),
		);
		async function* chunks() {
			for await (const part of chunksOf(parts)) {
				umasks.add(execFileSync('sh', ['-c', 'umask'], { encoding: 'utf8' }).trim());
				yield part;
			}
		}
		const options = { root: rawPath(root), ids: { uids: 65536, gids: 65536 }, libc: undefined, maxBytes: 2 ** 30 };
		await unpackLayer(chunks(), options, new AbortController().signal);
		expect(process.umask(0o022)).toBe(0o022);
	} finally {
		process.umask(umask);
	}
	expect([...umasks]).toEqual(['0022']);
	const wrong = Array.from({ length: FILES }, (_, index) => index).filter(
		(index) => (lstatSync(join(root, 'd', String(index))).mode & 0o7777) !== modeOf(index),
	);
	expect(wrong).toEqual([]);
	expect(lstatSync(join(root, 'd')).mode & 0o7777).toBe(0o2777);
});

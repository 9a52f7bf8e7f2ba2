import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { loadLibc } from '../../../src/linux/libc.js';
import { rawPath } from '../../../src/root-path.js';
import { type ArtifactOptions, type ExtractedArtifacts, extractArtifacts } from '../../../src/rootfs/artifacts.js';
import { listTree, type TemporaryDirectory, temporaryDirectory } from '../../support/fs.js';

const isRoot = process.getuid?.() === 0;
/** Whom artifacts are given to: somebody else when we may. */
export const owner: ArtifactOptions['owner'] = isRoot
	? { uid: 1001, gid: 0 }
	: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const ids = isRoot ? { uids: 0xffffffff, gids: 0xffffffff } : { uids: 1, gids: 1 };
const signal = new AbortController().signal;

/** A directory for artifacts beside a `host` that must never change. */
export interface Scene extends TemporaryDirectory {
	readonly root: string;
	readonly host: string;
	readonly extract: (tar: Readable | Buffer, more?: Partial<ArtifactOptions>) => Promise<ExtractedArtifacts>;
	readonly at: (name: string) => string;
}

/** Makes both. */
export function scene(): Scene {
	const directory = temporaryDirectory();
	const [host, root] = [join(directory.path, 'host'), join(directory.path, 'root')];
	mkdirSync(host);
	mkdirSync(root);
	writeFileSync(join(host, 'probe'), 'host', { mode: 0o640 });
	const before = listTree(host);
	return {
		...directory,
		root,
		host,
		at: (name) => join(root, name),
		extract: async (tar, more) => {
			const stream = Buffer.isBuffer(tar) ? Readable.from([tar], { objectMode: false }) : tar;
			try {
				const options = { root: rawPath(root), owner, ids, libc: await loadLibc(), ...more };
				return await extractArtifacts(stream, options, signal);
			} finally {
				expect(listTree(host)).toEqual(before);
				expect(readdirSync(directory.path).sort()).toEqual(['host', 'root']);
			}
		},
	};
}

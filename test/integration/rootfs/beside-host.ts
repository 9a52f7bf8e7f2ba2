import { chmodSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { errnoOf, isBuildError } from '../../../src/errors.js';
import { loadLibc } from '../../../src/linux/libc.js';
import { fsPath, latin1Path, rawPath } from '../../../src/root-path.js';
import type { LayerEntry } from '../../../src/rootfs/tree.js';
import { unpackLayer } from '../../../src/rootfs/unpack.js';
import { listTree, type TemporaryDirectory, temporaryDirectory } from '../../support/fs.js';
import { chunksOf, type TarMember, tarFile, tarOf } from '../../support/tar.js';

/** An empty image root with a host beside it: `host/probe` and `host/dir/secret` must never change. */
export interface BesideHost extends TemporaryDirectory {
	readonly root: string;
	readonly host: string;
	/** Unpacks the tar and checks that nothing outside the root changed. */
	readonly unpack: (tar: Buffer | readonly TarMember[], more?: { readonly maxBytes?: number }) => Promise<Unpacked>;
}

export interface Unpacked {
	/** The code of the error, when it was refused. */
	readonly refused: string | undefined;
	readonly entries: ReadonlyMap<string, LayerEntry>;
	readonly lostXattrs: readonly string[];
	/** Raw path of every name on disk, sorted, as far as this user may see them. */
	readonly onDisk: readonly string[];
}

const ids = process.getuid?.() === 0 ? { uids: 0xffffffff, gids: 0xffffffff } : { uids: 1, gids: 1 };

/** Makes both, in a directory that goes when the scope ends. */
export function besideHost(): BesideHost {
	const directory = temporaryDirectory();
	const [host, root] = [join(directory.path, 'host'), join(directory.path, 'root')];
	mkdirSync(join(host, 'dir'), { recursive: true });
	mkdirSync(root);
	for (const name of ['probe', 'dir/secret']) {
		writeFileSync(join(host, name), 'host');
		chmodSync(join(host, name), 0o640);
		utimesSync(join(host, name), 1e9, 1e9);
	}
	const before = listTree(host);
	return {
		...directory,
		root,
		host,
		unpack: async (tar, more) => {
			const bytes = Buffer.isBuffer(tar) ? tar : tarOf(tar);
			try {
				return await unpack(bytes, root, more?.maxBytes ?? 2 ** 30);
			} finally {
				expect(listTree(host)).toEqual(before);
				expect(readdirSync(directory.path).sort()).toEqual(['host', 'root']);
			}
		},
	};
}

async function unpack(tar: Buffer, root: string, maxBytes: number): Promise<Unpacked> {
	try {
		const options = { root: rawPath(root), ids, libc: await loadLibc(), maxBytes };
		const { entries, lostXattrs } = await unpackLayer(chunksOf([tar]), options, new AbortController().signal);
		return { refused: undefined, entries: new Map(entries), lostXattrs, onDisk: namesBelow(root) };
	} catch (error) {
		if (!isBuildError(error)) throw error;
		return { refused: error.code, entries: new Map(), lostXattrs: [], onDisk: namesBelow(root) };
	}
}

function namesBelow(root: string): readonly string[] {
	const found: string[] = [];
	const visit = (path: string, name: string) => {
		for (const entry of entriesOf(path)) {
			const child = Buffer.from(entry.name).toString('latin1');
			const full = name === '' ? child : `${name}/${child}`;
			found.push(full);
			if (entry.isDirectory()) visit(`${path}/${child}`, full);
		}
	};
	visit(rawPath(root), '');
	return found.sort();
}

function entriesOf(path: string) {
	try {
		return readdirSync(fsPath(latin1Path(path)), { withFileTypes: true, encoding: 'buffer' });
	} catch (error) {
		if (errnoOf(error) === 'EACCES') return [];
		throw error;
	}
}

/** Attacks are written with `HOST` where the absolute path of the host's directory goes. */
export function aimed(members: readonly TarMember[], { host }: BesideHost): readonly TarMember[] {
	const aim = (text: string) => text.replace('HOST', host);
	return members.map((member) => ({
		...member,
		name: aim(member.name),
		...(member.link !== undefined && { link: aim(member.link) }),
	}));
}

/** Unpacks an attack beside a host that must not change. */
export async function attack(
	members: readonly TarMember[],
): Promise<{ readonly refused: string | undefined; onDisk: readonly string[] }> {
	using scene = besideHost();
	return await scene.unpack(aimed(members, scene));
}

/** A file whose attributes would all be seen on the host, did they get there. */
export const evil = (name: string, more: Partial<TarMember> = {}): TarMember =>
	tarFile(name, 'evil', { mode: 0o777, mtime: 5, ...more });

import { lstatSync } from 'node:fs';
import type { Libc } from '../linux/libc.js';
import { fsPath, type RootPath, rawPath } from '../root-path.js';
import { findOwners } from '../rootfs/diff.js';
import type { BaseTree } from '../rootfs/merge.js';
import { type OpenTree, unlessGone, withTree } from '../rootfs/open-tree.js';
import { type IdLimits, type Owner, ownable } from '../rootfs/owner.js';
import type { RootDirectory } from '../rootfs/root-directory.js';

/** Remembers owners that the disk cannot hold, so that several users in turn give the same layer as where it can. */
export interface Ownership {
	/** What is at `path` now is `owner`'s, wherever it is moved later. */
	readonly claim: (path: RootPath, owner: Owner) => void;
	/** What becomes new from now on is `owner`'s; what became new until now is the one's who had the turn before. */
	readonly turn: (owner: Owner | undefined) => void;
	/** Of an entry of the tree of changes; undefined for what nobody claimed. */
	readonly ownerAt: (tree: OpenTree, path: RootPath) => Owner | undefined;
}

export interface OwnershipContext {
	readonly ids: IdLimits;
	readonly libc: Libc;
	readonly base: () => BaseTree;
}

/** The ownership of what is changed in `directory`. With more than a single id nearly all owners are real, and this has nothing to do. */
export function openOwnership(directory: RootDirectory, { ids, libc, base }: OwnershipContext): Ownership {
	const changed = rawPath(directory.changed);
	const isSingle = ids.uids === 1;
	const claims = new Map<string, Owner>();
	let current: Owner | undefined;
	const within = <T>(work: (tree: OpenTree) => T) => withTree(changed, libc, work);
	const ownerAt = (tree: OpenTree, path: RootPath) =>
		claims.size === 0 ? undefined : claims.get(identify(tree, path));
	const settle = (assembleUser: Owner) => {
		const entries = directory.scan(new Set());
		within((tree) => {
			const context = { base: base(), ids, assembleUser, claimedOwner: (path: RootPath) => ownerAt(tree, path) };
			for (const [path, owner] of findOwners(entries, context)) claims.set(identify(tree, path), owner);
		});
	};
	return {
		claim: (path, { uid, gid }) => {
			if (!isSingle && ownable({ uid, gid }, ids)) return;
			claims.set(
				within((tree) => identify(tree, path)),
				{ uid, gid },
			);
		},
		turn: (owner) => {
			const last = current;
			current = owner;
			if (!isSingle || last === undefined) return;
			if (owner?.uid !== last.uid || owner.gid !== last.gid) settle(last);
		},
		ownerAt,
	};
}

/** An inode number alone is given to the next file when its file is deleted. */
function identify(tree: OpenTree, path: RootPath): string {
	const stats = unlessGone(() => lstatSync(fsPath(tree.entry(path)), { bigint: true }));
	return stats === undefined ? '' : `${stats.ino} ${stats.birthtimeNs}`;
}

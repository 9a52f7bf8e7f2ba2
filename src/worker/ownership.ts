import { lstatSync } from 'node:fs';
import { fsPath, joinRaw, type RawPath, type RootPath, rawPath } from '../root-path.js';
import type { Owner } from '../rootfs/declare.js';
import { findOwners } from '../rootfs/diff.js';
import type { BaseTree } from '../rootfs/merge.js';
import { type IdLimits, ownable } from '../rootfs/owner.js';
import type { RootDirectory } from '../rootfs/root-directory.js';

/** Remembers owners that the disk cannot hold, so that several users in turn give the same layer as where it can. */
export interface Ownership {
	/** What is at `path` now is `owner`'s, wherever it is moved later. */
	readonly claim: (path: RootPath, owner: Owner) => void;
	/** What becomes new from now on is `owner`'s; what became new until now is the one's who had the turn before. */
	readonly turn: (owner: Owner | undefined) => void;
	/** Undefined for what nobody claimed. */
	readonly ownerAt: (path: RootPath) => Owner | undefined;
}

export interface OwnershipContext {
	readonly ids: IdLimits;
	readonly base: () => BaseTree;
}

/** The ownership of what is changed in `directory`. With more than a single id nearly all owners are real, and this has nothing to do. */
export function openOwnership(directory: RootDirectory, { ids, base }: OwnershipContext): Ownership {
	const changed = rawPath(directory.changed);
	const isSingle = ids.uids === 1;
	const claims = new Map<string, Owner>();
	let current: Owner | undefined;
	const ownerAt = (path: RootPath) => (claims.size === 0 ? undefined : claims.get(identify(joinRaw(changed, path))));
	const settle = (assembleUser: Owner) => {
		const entries = directory.scan(new Set());
		for (const [path, owner] of findOwners(entries, { base: base(), ids, assembleUser, claimedOwner: ownerAt })) {
			claims.set(identify(joinRaw(changed, path)), owner);
		}
	};
	return {
		claim: (path, { uid, gid }) => {
			if (isSingle || !ownable({ uid, gid }, ids)) claims.set(identify(joinRaw(changed, path)), { uid, gid });
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
function identify(disk: RawPath): string {
	const stats = lstatSync(fsPath(disk), { bigint: true, throwIfNoEntry: false });
	return stats === undefined ? '' : `${stats.ino} ${stats.birthtimeNs}`;
}

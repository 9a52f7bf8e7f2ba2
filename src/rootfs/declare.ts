import { ROOT, type RootPath } from '../root-path.js';
import type { BaseTree } from './merge.js';
import { type IdLimits, type Owner, ownable } from './owner.js';
import type { Entry, SpecialEntry } from './tree.js';
import type { UpperEntry } from './upper.js';

/** How owners on disk are to be read. */
export interface OwnerInput {
	readonly base: BaseTree;
	/** Which owners are real on disk; with a single id none is, and new files belong to `assembleUser`. */
	readonly ids: IdLimits;
	readonly assembleUser: Owner;
	/** An owner that is known for the entry at a path of the upper directory, whatever the disk says. */
	readonly claimedOwner?: (path: RootPath) => Owner | undefined;
}

/** The same, with what is told by the whole of an upper directory. */
export interface OwnerContext extends OwnerInput {
	/** The owner that the base declares for an inode of which one name is in the base. */
	readonly inodeOwner: (inode: string) => Owner | undefined;
	/** The owner that the base declares for an entry that is now at another path, told by what moving does not change. */
	readonly movedOwner: (entry: UpperEntry) => Owner | undefined;
}

/**
 * What an entry of the upper directory is in the image's own terms, given what the base has at its path. Undefined for what no layer
 * can hold (sockets, devices that only a host root could have made).
 */
export function declareUpper(entry: UpperEntry, below: Entry | undefined, context: OwnerContext): Entry | undefined {
	const { mode, mtime, xattrs } = entry;
	const { uid, gid } = ownerOf(entry, below, context);
	if (standsFor(entry, below)) return { ...below, uid, gid };
	const declared = declaredAs(entry, { mode, uid, gid, mtime });
	return declared === undefined || xattrs.size === 0 ? declared : { ...declared, xattrs };
}

function declaredAs(entry: UpperEntry, attributes: Pick<Entry, 'mode' | 'uid' | 'gid' | 'mtime'>): Entry | undefined {
	const { mode, uid, gid, mtime } = attributes;
	switch (entry.type) {
		case 'file':
			return { type: 'file', mode, uid, gid, mtime, size: entry.size };
		case 'directory':
			return { type: 'directory', mode, uid, gid, mtime };
		case 'symlink':
			return { type: 'symlink', mode, uid, gid, mtime, target: entry.target ?? '' };
		case 'fifo':
			return { type: 'fifo', mode, uid, gid, mtime, major: 0, minor: 0 };
		case 'whiteout':
		case 'other':
			return undefined;
	}
}

/** A device of the base is an empty file on disk, whose mode means nothing. */
function standsFor(entry: UpperEntry, below: Entry | undefined): below is SpecialEntry {
	const isDevice = below?.type === 'character' || below?.type === 'block';
	return isDevice && entry.copiedUp && entry.type === 'file' && entry.size === 0;
}

/** The owner of an entry of the upper directory, given what the base has at its path. */
export function ownerOf(entry: UpperEntry, below: Entry | undefined, context: OwnerContext): Owner {
	const claimed = context.claimedOwner?.(entry.path);
	if (claimed !== undefined) return claimed;
	if (context.ids.uids === 1) return singleOwner(entry, below, context);
	const origin = below ?? linkedOwner(entry, context);
	const isSquashed = entry.uid === 0 && entry.gid === 0 && origin !== undefined && !ownable(origin, context.ids);
	return isSquashed ? origin : entry;
}

/** With one id, what the kernel copied up from the base keeps the base's owner, and all that is new is the assemble user's. */
function singleOwner(entry: UpperEntry, below: Entry | undefined, context: OwnerContext): Owner {
	return baseOwner(entry, below, context) ?? context.assembleUser;
}

/** The kernel marks what it copied up, but cannot mark a symlink: there, the target tells. */
function baseOwner(entry: UpperEntry, below: Entry | undefined, context: OwnerContext): Owner | undefined {
	if (entry.path === ROOT) return below;
	if (entry.copiedUp) return below ?? linkedOwner(entry, context) ?? context.movedOwner(entry);
	if (entry.type !== 'symlink') return undefined;
	if (below === undefined) return context.movedOwner(entry);
	return below.type === 'symlink' && below.target === entry.target ? below : undefined;
}

/** What a rename leaves as it is; undefined for what the kernel does not rename across the layers of an overlay. */
export function identityOf(entry: Entry | UpperEntry): string | undefined {
	const mtime = Math.floor(entry.mtime);
	if (entry.type === 'file') return `file ${entry.mode} ${entry.size} ${mtime}`;
	return entry.type === 'symlink' ? `symlink ${mtime} ${entry.target ?? ''}` : undefined;
}

function linkedOwner({ inode }: UpperEntry, context: OwnerContext): Owner | undefined {
	return inode === undefined ? undefined : context.inodeOwner(inode);
}

import { type BigIntStats, constants } from 'node:fs';
import { parentOf, type RootPath } from '../root-path.js';
import type { Stamp, Stamps } from './stamps.js';

/** Whom the kernel judges by when a process reaches a file. */
export interface FileUser {
	readonly uid: number;
	readonly gid: number;
	readonly additionalGids?: readonly number[];
}

/** What the kernel judges a file by, as stat(2) has it. */
interface Guarded {
	readonly uid: bigint;
	readonly gid: bigint;
	/** With or without the bits of the type. */
	readonly mode: bigint;
}

const READ = 4;
const WRITE = 2;
const SEARCH = 1;

/**
 * Whether `user`, who is not root and has no capabilities, may read the file or list the directory, by owner, group and mode (inode(7)).
 * An owner may give itself every right, so it has them. What an access control list gives to others than the group is not seen.
 */
export function mayRead(user: FileUser, file: Guarded): boolean {
	return isGranted(user, file, READ);
}

/** {@link mayRead}, of writing. */
export function mayWrite(user: FileUser, file: Guarded): boolean {
	return isGranted(user, file, WRITE);
}

/** {@link mayRead}, of listing a directory and reaching what is in it. */
export function mayEnter(user: FileUser, directory: Guarded): boolean {
	return isGranted(user, directory, READ | SEARCH);
}

function isGranted({ uid, gid, additionalGids = [] }: FileUser, file: Guarded, wanted: number): boolean {
	if (Number(file.uid) === uid) return true;
	const isMember = [gid, ...additionalGids].includes(Number(file.gid));
	const bits = (Number(file.mode) >> (isMember ? 3 : 0)) & 7;
	return (bits & wanted) === wanted;
}

/** A file or directory, wherever it is by now. */
export interface Judged {
	readonly stats: BigIntStats;
	/** Whether it has an access control list (acl(5)). */
	readonly hasAcl: () => boolean;
}

/** What a user could read of what was there before. */
export interface Sight {
	readonly isHidden: (found: Judged) => boolean;
	/** Whether what `stats` are of is, by all that a copy keeps, something that the user could read or that is the image's. */
	readonly isCopy: (stats: BigIntStats) => boolean;
}

const TYPE = BigInt(constants.S_IFMT);
const DIRECTORY = BigInt(constants.S_IFDIR);

/**
 * What `user`, who is not root, could not read where `stamps` are of, or cannot by the mode that it has now, is hidden: moving or linking it,
 * to which rights on directories are enough, makes it no other. It is never what that user owns, nor what is the image's, as `isImages` says.
 * `keyOf` names an inode. Where a list guards a file, the bits of its group are those of the list's mask, so only its owner counts.
 */
export function findHidden(
	stamps: Stamps,
	user: FileUser,
	isImages: (path: RootPath, stamp: Stamp) => boolean,
	keyOf: (stats: Stamp | BigIntStats) => string,
): Sight {
	const shut = new Set<RootPath>();
	const known = new Set<string>();
	const images = new Set<string>();
	const read = new Map<string, Stamp>();
	for (const [path, stamp] of stamps) {
		const isBelow = shut.has(parentOf(path));
		if ((stamp.mode & TYPE) === DIRECTORY && (isBelow || !mayEnter(user, stamp))) shut.add(path);
		const key = keyOf(stamp);
		known.add(key);
		if (!isBelow && mayRead(user, stamp)) read.set(key, stamp);
		else if (isImages(path, stamp)) images.add(traitsOf(stamp, stamp.modified));
	}
	let copies: ReadonlySet<string> | undefined;
	const isImage = (stats: BigIntStats) => images.has(traitsOf(stats, stats.mtimeNs));
	return {
		isHidden: ({ stats, hasAcl }) => {
			// Only root can give files away, so what is this user's was so before, or is new.
			if (Number(stats.uid) === user.uid || isImage(stats)) return false;
			const key = keyOf(stats);
			if (known.has(key) && !read.has(key)) return true;
			return !(stats.isDirectory() ? mayEnter(user, stats) : mayRead(user, stats)) || hasAcl();
		},
		isCopy: (stats) => {
			copies ??= new Set([...read.values()].map((stamp) => traitsOf(stamp, stamp.modified)));
			return isImage(stats) || copies.has(traitsOf(stats, stats.mtimeNs));
		},
	};
}

/** What a user who is not root can neither give to a file of another nor take from it without writing to it. */
function traitsOf({ uid, gid, mode, size }: Stamp | BigIntStats, modified: bigint): string {
	return `${uid} ${gid} ${mode} ${size} ${modified}`;
}

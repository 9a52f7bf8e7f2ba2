import { type BigIntStats, constants } from 'node:fs';
import { parentOf, type RootPath } from '../root-path.js';
import { type FileUser, mayEnter, mayRead } from './file-access.js';
import type { Stamp, Stamps } from './stamps.js';

/** Whether what `stats` are of, wherever it is by now, is something that a user could not read. */
export type IsHidden = (stats: BigIntStats) => boolean;

const TYPE = BigInt(constants.S_IFMT);
const DIRECTORY = BigInt(constants.S_IFDIR);

/**
 * What `user`, who is not root, could not read where `stamps` are of, or cannot by the mode that it has now: moving or linking it, to which
 * rights on directories are enough, makes it no other. It is never what that user owns, nor what is the image's, as `isImages` says.
 */
export function findHidden(
	stamps: Stamps,
	user: FileUser,
	isImages: (path: RootPath, stamp: Stamp) => boolean,
): IsHidden {
	const shut = new Set<RootPath>();
	const known = new Set<bigint>();
	const images = new Set<bigint>();
	const read = new Set<bigint>();
	for (const [path, stamp] of stamps) {
		const { inode, mode } = stamp;
		const isBelow = shut.has(parentOf(path));
		if ((mode & TYPE) === DIRECTORY && (isBelow || !mayEnter(user, stamp))) shut.add(path);
		known.add(inode);
		if (!isBelow && mayRead(user, stamp)) read.add(inode);
		else if (isImages(path, stamp)) images.add(inode);
	}
	return (stats) => {
		// Only root can give files away, so what is this user's was so before, or is new.
		if (Number(stats.uid) === user.uid || images.has(stats.ino)) return false;
		return (known.has(stats.ino) && !read.has(stats.ino)) || !mayRead(user, stats);
	};
}

import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import type { Libc } from '../linux/libc.js';
import { childOf, fsPath, joinRaw, type RawPath, ROOT, type RootPath } from '../root-path.js';
import { imageXattrs } from './image-xattrs.js';

/** One entry of an overlay's upper directory, with the ids and attributes that are on disk. */
export interface UpperEntry {
	readonly path: RootPath;
	readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'whiteout' | 'other';
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	readonly size: number;
	/** Seconds, rounded down. */
	readonly mtime: number;
	readonly target?: string;
	/** Equal for entries that are the same inode; undefined for an inode with one name. */
	readonly inode?: string;
	/** Attributes of the image's own, without overlay's. */
	readonly xattrs: ReadonlyMap<string, Buffer>;
	/** Nothing of the base shows through this directory. */
	readonly opaque: boolean;
	/** The kernel copied it up from the base, so it is not new. */
	readonly copiedUp: boolean;
}

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const OVERLAY = 'user.overlay.';

/**
 * All entries of the upper directory `root`, parents before children, except those that `skip` names (with all below them).
 * Costs one lstat and one listxattr an entry; file contents are not read.
 */
export function scanUpper(root: RawPath, skip: ReadonlySet<RootPath>, libc: Libc): readonly UpperEntry[] {
	const found: UpperEntry[] = [];
	const scan = (path: RootPath) => {
		const entry = readUpper(root, path, libc);
		found.push(entry);
		if (entry.type !== 'directory') return;
		for (const name of readdirSync(fsPath(joinRaw(root, path)), { encoding: 'latin1' })) {
			const child = childOf(path, name);
			if (!skip.has(child)) scan(child);
		}
	};
	scan(ROOT);
	return found;
}

/** The entry at `path` below `root` as it is on disk. Without `libc`, extended attributes are not seen. */
export function readUpper(root: RawPath, path: RootPath, libc: Libc | undefined): UpperEntry {
	const disk = joinRaw(root, path);
	const stats = lstatSync(fsPath(disk));
	const type = typeOf(stats);
	const listed = libc?.listXattrs(disk) ?? NO_XATTRS;
	const entry: UpperEntry = {
		path,
		type,
		mode: stats.mode & 0o7777,
		uid: stats.uid,
		gid: stats.gid,
		size: stats.size,
		mtime: Math.floor(stats.mtimeMs / 1000),
		xattrs: imageXattrs(listed),
		opaque: listed.get(`${OVERLAY}opaque`)?.toString('latin1') === 'y',
		copiedUp: listed.has(`${OVERLAY}origin`),
	};
	if (type === 'symlink') return { ...entry, target: readlinkSync(fsPath(disk), { encoding: 'latin1' }) };
	return type === 'file' && stats.nlink > 1 ? { ...entry, inode: `${stats.dev}:${stats.ino}` } : entry;
}

function typeOf(stats: Stats): UpperEntry['type'] {
	if (stats.isFile()) return 'file';
	if (stats.isDirectory()) return 'directory';
	if (stats.isSymbolicLink()) return 'symlink';
	if (stats.isFIFO()) return 'fifo';
	return stats.isCharacterDevice() && stats.rdev === 0 ? 'whiteout' : 'other';
}

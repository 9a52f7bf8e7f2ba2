import { fstatSync, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { BuildError, errnoOf } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import {
	childOf,
	fsPath,
	joinRaw,
	latin1Path,
	printablePath,
	type RawPath,
	ROOT,
	type RootPath,
} from '../root-path.js';
import { imageXattrs } from './image-xattrs.js';
import type { UnreadFile } from './tree.js';

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
	return scanUnread(root, skip, libc, () => false).filter((entry) => entry.type !== 'unread');
}

/** Like {@link scanUpper}, but nothing is asked about regular files in directories that are new, as `isNew` says. */
export function scanUnread(
	root: RawPath,
	skip: ReadonlySet<RootPath>,
	libc: Libc,
	isNew: (directory: RootPath) => boolean,
): readonly (UpperEntry | UnreadFile)[] {
	const found: (UpperEntry | UnreadFile)[] = [];
	const pending: RootPath[] = [ROOT];
	const scan = (path: RootPath) => {
		const entry = readUpper(root, path, libc);
		found.push(entry);
		if (entry.type !== 'directory') return;
		const unread = isNew(path);
		for (const below of readdirSync(fsPath(joinRaw(root, path)), { encoding: 'latin1', withFileTypes: true })) {
			const child = childOf(path, below.name);
			if (skip.has(child)) continue;
			if (unread && below.isFile()) found.push({ type: 'unread', path: child });
			else pending.push(child);
		}
	};
	for (let path = pending.pop(); path !== undefined; path = pending.pop()) shortEnough(path, scan);
	return found;
}

/** Looks at `path` with `look`. Throws ASSEMBLE_FAILED when that path is longer than what the system takes (PATH_MAX). */
export function shortEnough(path: RootPath, look: (path: RootPath) => void): void {
	try {
		look(path);
	} catch (cause) {
		if (errnoOf(cause) !== 'ENAMETOOLONG') throw cause;
		const shown = printablePath(latin1Path(path.slice(0, 200)));
		throw new BuildError(
			'ASSEMBLE_FAILED',
			`assemble made "/${shown}...", whose path is too long (${path.length} bytes)`,
			{
				hint: 'No image can hold paths over 4095 bytes, and this host no longer ones than that together with the path of its store.',
				cause,
			},
		);
	}
}

/** The entry at `path` below `root` as it is on disk. Without `libc`, extended attributes are not seen. */
export function readUpper(root: RawPath, path: RootPath, libc: Libc | undefined): UpperEntry {
	const disk = joinRaw(root, path);
	const listed = libc?.listXattrs(disk) ?? NO_XATTRS;
	const entry = entryOf(path, lstatSync(fsPath(disk)), listed);
	return entry.type === 'symlink' ? { ...entry, target: readlinkSync(fsPath(disk), { encoding: 'latin1' }) } : entry;
}

/** The regular file at `path` below `root`, which is open as `file`. */
export function readOpenFile(root: RawPath, path: RootPath, file: number, libc: Libc): UpperEntry {
	const listed = libc.hasXattrs(file) ? libc.listXattrs(joinRaw(root, path)) : NO_XATTRS;
	return entryOf(path, fstatSync(file), listed);
}

function entryOf(path: RootPath, stats: Stats, listed: ReadonlyMap<string, Buffer>): UpperEntry {
	const type = typeOf(stats);
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
	return type === 'file' && stats.nlink > 1 ? { ...entry, inode: `${stats.dev}:${stats.ino}` } : entry;
}

function typeOf(stats: Stats): UpperEntry['type'] {
	if (stats.isFile()) return 'file';
	if (stats.isDirectory()) return 'directory';
	if (stats.isSymbolicLink()) return 'symlink';
	if (stats.isFIFO()) return 'fifo';
	return stats.isCharacterDevice() && stats.rdev === 0 ? 'whiteout' : 'other';
}

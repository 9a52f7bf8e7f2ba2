import { fstatSync, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { BuildError } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import { childOf, fsPath, latin1Path, nameIn, printablePath, type RawPath, ROOT, type RootPath } from '../root-path.js';
import { imageXattrs } from './image-xattrs.js';
import { createIndexBudget, type IndexBudget, tooLargeLayer } from './index-budget.js';
import { changedMeanwhile, unlessGone, withTree } from './open-tree.js';
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
const MAX_PATH = 4095;

/**
 * All entries of the upper directory `root`, parents before children, except those that `skip` names (with all below them).
 * Costs one lstat and one listxattr an entry; file contents are not read. What vanishes meanwhile is left out. Throws ASSEMBLE_FAILED for
 * a path that no image can hold.
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
	const pending: RootPath[] = [];
	const budget = createIndexBudget(tooLargeLayer);
	const look = (path: RootPath, disk: RawPath) => {
		const entry = unlessGone(() => readUpper(path, disk, libc));
		if (entry === undefined) return;
		countUpper(entry, budget);
		found.push(entry);
		if (entry.type === 'directory') pending.push(path);
	};
	const enter = (path: RootPath, directory: RawPath) => {
		const unread = isNew(path);
		for (const below of readdirSync(fsPath(directory), { encoding: 'latin1', withFileTypes: true })) {
			const child = childOf(path, below.name);
			if (skip.has(child)) continue;
			checkLength(child);
			if (unread && below.isFile()) found.push({ type: 'unread', path: child });
			else look(child, nameIn(directory, below.name));
		}
	};
	return withTree(root, libc, (tree) => {
		look(ROOT, tree.entry(ROOT));
		for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
			const here = path;
			unlessGone(() => enter(here, tree.directory(here)));
		}
		return found;
	});
}

/** Throws ASSEMBLE_FAILED when `path` is longer than what any system takes (PATH_MAX). */
export function checkLength(path: RootPath): void {
	if (path.length <= MAX_PATH) return;
	const shown = printablePath(latin1Path(path.slice(0, 200)));
	throw new BuildError(
		'ASSEMBLE_FAILED',
		`assemble made "/${shown}...", whose path is too long (${path.length} bytes)`,
		{ hint: `No image can hold paths over ${MAX_PATH} bytes.` },
	);
}

/** Counts `entry` among what the layer will have. */
export function countUpper({ path, target, xattrs }: UpperEntry, budget: IndexBudget): void {
	budget.path(path);
	budget.attributes({ linkPath: latin1Path(target ?? ''), xattrs });
}

/** The entry `path`, which is at `disk`, as it is there. Without `libc`, extended attributes are not seen. */
export function readUpper(path: RootPath, disk: RawPath, libc: Libc | undefined): UpperEntry {
	const listed = libc?.listXattrs(disk) ?? NO_XATTRS;
	const entry = entryOf(path, lstatSync(fsPath(disk)), listed);
	if (entry.type !== 'symlink') return entry;
	return { ...entry, target: readlinkSync(fsPath(disk), { encoding: 'latin1' }) };
}

/** The regular file `path`, which is open as `file`. Throws ASSEMBLE_SURVIVED when it is something else. */
export function readOpenFile(path: RootPath, file: number, libc: Libc): UpperEntry {
	const stats = fstatSync(file);
	if (!stats.isFile()) throw changedMeanwhile(path);
	return entryOf(path, stats, libc.listOpenXattrs(file));
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

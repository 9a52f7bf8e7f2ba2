import fs from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BuildError, errnoOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { copyLargeFile, LARGE_FILE } from '../linux/copy-file.js';
import { type Libc, MS_BIND, MS_NODEV, MS_REMOUNT } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { lockedFlags, readMounts } from '../mountinfo.js';
import type { RawPath, RootPath } from '../root-path.js';
import { fsPath, joinRaw, latin1Path, printablePath, ROOT, rawPath } from '../root-path.js';
import { isKept } from './image-xattrs.js';
import type { WholeTree } from './merge.js';
import type { RootDirectory } from './root-directory.js';
import { awaitNextTick, scanChanges, stampTree } from './stamps.js';

/** Where a copied root filesystem is, and where it is to be seen. */
export interface CopyPlace {
	/** Private directory; the copy is made below it. */
	readonly scratch: string;
	/** Directory that every id can reach, to show the copy at; undefined where nothing can be mounted: it is then shown where it is. */
	readonly target: string | undefined;
}

/**
 * A copy of the merged tree `base` of the unpacked layers `lowers`, for hosts that refuse overlays. What is changed in it is found by one
 * walk that compares inode, change time, size and mode; file contents are not read. Throws HOST_NO_SPACE.
 */
export async function openCopy(
	base: WholeTree,
	lowers: readonly string[],
	{ scratch, target }: CopyPlace,
	libc: Libc,
	signal: AbortSignal,
): Promise<RootDirectory> {
	const copy = join(scratch, 'rootfs');
	makePath(copy, 0o755);
	await copyLayers(base, lowers, copy, libc, signal);
	const stamps = stampTree({ root: rawPath(copy), skip: new Set() }, libc);
	awaitNextTick(stamps, scratch);
	let mounted = false;
	const unmount = () => {
		if (mounted && target !== undefined) libc.unmount(rawPath(target));
		mounted = false;
	};
	return {
		path: target ?? copy,
		changed: copy,
		mount: () => {
			if (target === undefined || mounted) return;
			libc.mount(rawPath(copy), rawPath(target), '', MS_BIND, '');
			mounted = true;
			libc.mount(ROOT, rawPath(target), '', MS_BIND | MS_REMOUNT | MS_NODEV | flagsAt(target), '');
		},
		unmount,
		close: unmount,
		hideBelow: () => undefined,
		scan: (skip) => scanChanges({ root: rawPath(copy), skip }, stamps, libc),
	};
}

function flagsAt(target: string): number {
	const mount = readMounts().findLast(({ path }) => path === rawPath(target));
	return mount === undefined ? 0 : lockedFlags(mount);
}

/** How often others are let run: a copy must notice that it was stopped, and so must the process that it runs in. */
const TURN_MS = 50;
const SPECIAL_BITS = 0o7000;

interface Copied {
	readonly path: RootPath;
	readonly from: RawPath;
	readonly to: RawPath;
	readonly stats: fs.Stats;
}

/**
 * Copies the merged tree `base` of the unpacked layers `lowers` into the directory `target`: types, bytes (shared with the store where
 * the file system can), modes, owners, times and extended attributes as they are in the store. Names of one inode become files of their
 * own, as a write to one of them in an overlay makes them. Throws HOST_NO_SPACE.
 */
async function copyLayers(
	base: WholeTree,
	lowers: readonly string[],
	target: string,
	libc: Libc,
	signal: AbortSignal,
): Promise<void> {
	const roots = lowers.map(rawPath);
	const directories: Copied[] = [];
	let turn = performance.now();
	for (const path of [...base.keys()].sort()) {
		if (performance.now() - turn > TURN_MS) {
			await nextTurn();
			signal.throwIfAborted();
			turn = performance.now();
		}
		const from = joinRaw(roots[base.get(path)?.layer ?? 0] ?? ROOT, path);
		const to = joinRaw(rawPath(target), path);
		try {
			const stats = fs.lstatSync(fsPath(from));
			const copied = { path, from, to, stats };
			const pending = copyOne(copied, libc, signal);
			if (pending !== undefined) await pending;
			if (stats.isDirectory()) directories.push(copied);
		} catch (error) {
			throw errnoOf(error) === 'ENAMETOOLONG' ? tooLong(path, error) : error;
		}
	}
	for (const copied of directories.reverse()) finish(copied, libc);
}

function tooLong(path: RootPath, cause: unknown): BuildError {
	const shown = printablePath(latin1Path(path.slice(0, 200)));
	return new BuildError(
		'LAYER_INVALID',
		`"/${shown}..." has a path that is too long for a copy of the image on this host`,
		{
			hint: 'Rebuild the image with shorter paths, or name a store with a shorter path with --store DIR.',
			cause,
		},
	);
}

/** A promise for large files only: it would take longer than the copy of a small one. */
function copyOne(copied: Copied, libc: Libc, signal: AbortSignal): Promise<void> | undefined {
	const { path, to, stats } = copied;
	if (stats.isFile() && stats.size >= LARGE_FILE) return copyLarge(copied, libc, signal);
	if (!stats.isDirectory()) copyOther(copied, libc);
	else if (path !== ROOT) fs.mkdirSync(fsPath(to), { mode: 0o700 });
	return undefined;
}

function copyOther(copied: Copied, libc: Libc): void {
	const { from, to, stats } = copied;
	if (stats.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(fsPath(from), { encoding: 'buffer' }), fsPath(to));
	else if (stats.isFile()) copyFile(copied);
	else libc.mknod(to, stats.mode);
	finish(copied, libc);
}

function copyFile({ from, to }: Copied): void {
	try {
		fs.copyFileSync(fsPath(from), fsPath(to), fs.constants.COPYFILE_FICLONE | fs.constants.COPYFILE_EXCL);
	} catch (cause) {
		throw noRoom(cause, to);
	}
}

async function copyLarge(copied: Copied, libc: Libc, signal: AbortSignal): Promise<void> {
	const { from, to } = copied;
	await copyLargeFile(fsPath(from), fsPath(to), libc, signal).catch((cause: unknown) => {
		throw noRoom(cause, to);
	});
	finish(copied, libc);
}

function noRoom(cause: unknown, to: RawPath): unknown {
	return noSpace(cause, `a copy of the builder image, at ${printablePath(to)}`) ?? cause;
}

/** A change of owner takes the set-id bits, so the mode comes after it. */
function finish({ from, to, stats }: Copied, libc: Libc): void {
	const { uid, gid, mode } = stats;
	if (uid !== 0 || gid !== 0) fs.lchownSync(fsPath(to), uid, gid);
	for (const [name, value] of libc.listXattrs(from)) if (isKept(name)) libc.setXattr(to, name, value);
	if (stats.isSymbolicLink()) {
		fs.lutimesSync(fsPath(to), ...timesOf(stats));
		return;
	}
	if (!stats.isFile() || (mode & SPECIAL_BITS) !== 0) fs.chmodSync(fsPath(to), mode & 0o7777);
	fs.utimesSync(fsPath(to), ...timesOf(stats));
}

/** A date is rounded to milliseconds, which may be the next second; a negative number would mean now. */
function timesOf({ atimeMs, mtimeMs, mtime, atime }: fs.Stats): readonly [number | Date, number | Date] {
	return [atimeMs < 0 ? atime : atimeMs / 1000, mtimeMs < 0 ? mtime : mtimeMs / 1000];
}

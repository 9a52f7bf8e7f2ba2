import fs from 'node:fs';
import { setImmediate as pause } from 'node:timers/promises';
import { BuildError, explaining, succeeds } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { copyLargeFile, LARGE_FILE } from '../linux/copy-file.js';
import type { Libc } from '../linux/libc.js';
import {
	childOf,
	fsPath,
	joinRaw,
	nameIn,
	partsOf,
	printablePath,
	type RawPath,
	ROOT,
	type RootPath,
} from '../root-path.js';
import { isKept } from '../rootfs/image-xattrs.js';
import { type IdLimits, type Owner, ownable } from '../rootfs/owner.js';
import { makeDirectories, resolveInRoot } from '../rootfs/resolve-in-root.js';
import { isKernels } from '../sandbox/kernel-paths.js';

/** What all names of one file of a root filesystem have in common, and nothing else; undefined for a file that surely has one name. */
export type InodeOf = (path: RootPath, stats: fs.Stats) => string | undefined;

/** As the disk has it. */
export const diskInode: InodeOf = (_, { nlink, dev, ino }) => (nlink > 1 ? `${dev}:${ino}` : undefined);

/** What is copied into, while no process runs in it: a root filesystem, or a source. */
export interface CopyTarget {
	/** Where it is mounted. */
	readonly root: RawPath;
	readonly ids: IdLimits;
	readonly libc: Libc;
	/** Remembers an owner, which the disk may be unable to hold. */
	readonly claim: (path: RootPath, owner: Owner) => void;
	/** It is a source: no path in it is the kernel's, links in it are not followed, and nothing copied is setuid or has attributes. */
	readonly isSource?: boolean;
}

/** What copies get instead of what the original has. */
export interface CopyAttributes {
	/** Asked with the host path of the original; `''` is a directory that is only needed. */
	readonly ownerOf: (source: RawPath) => Owner;
	/** Permission bits of files and directories; their own when undefined. */
	readonly mode: number | undefined;
	/** What the names of one file have in common, given its host path; as the disk has it when undefined. */
	readonly inodeOf?: (source: RawPath, stats: fs.Stats) => string | undefined;
	/** Whether something is left out, with all below it. */
	readonly skips?: (source: RawPath) => boolean;
}

/** Copies below one root filesystem; hard links among all that one copier copies stay hard links. */
export interface Copier {
	/** Makes the directory `path`, with its parents, unless it is there; returns where it really is. */
	readonly directory: (path: RawPath) => RootPath;
	/** Copies the host's `source` to `path`, whose parent is a real directory. Directories are merged, all else is replaced. */
	readonly copy: (source: RawPath, path: RootPath) => Promise<void>;
	/** Copies what is in the directory `source` into the directory `path`, which keeps its own attributes. */
	readonly contents: (source: RawPath, path: RootPath) => Promise<void>;
	/** How many entries were copied. */
	readonly count: () => number;
	/** Where there would now be sockets, FIFOs and devices, which no copy is made of. */
	readonly skipped: () => readonly RootPath[];
}

const PAUSE_EVERY = 64;

/**
 * A copier. Modes, times, links and the extended attributes of the image survive; no link of either side is followed out of its root.
 * Its functions throw IMAGE_UNSUPPORTED, or SOURCE_INVALID in a source, where something cannot be placed, and HOST_NO_SPACE.
 */
export function createCopier(target: CopyTarget, attributes: CopyAttributes, signal: AbortSignal): Copier {
	const { root, isSource = false } = target;
	const { inodeOf = (_: RawPath, stats: fs.Stats) => diskInode(ROOT, stats) } = attributes;
	const linked = new Map<string, RootPath>();
	const skipped: RootPath[] = [];
	let count = 0;
	const give = createGive(target, attributes);
	const directory = (path: RawPath): RootPath => {
		if (isSource) checkWay(root, path);
		const made = makeDirectories(root, path);
		if (!isSource && isKernels(made.path)) throw unplaceable(made.path, 'belongs to the kernel');
		for (const each of made.made) give(each, ROOT, undefined);
		return made.path;
	};
	const contents = async (source: RawPath, path: RootPath) => {
		for (const name of fs.readdirSync(fsPath(source), { encoding: 'latin1' })) {
			await copy(nameIn(source, name), childOf(path, name));
		}
	};
	const copyDirectory = async (source: RawPath, path: RootPath, stats: fs.Stats) => {
		const real = directory(path);
		await contents(source, real);
		give(real, source, stats);
	};
	const copy = async (source: RawPath, path: RootPath): Promise<void> => {
		if (++count % PAUSE_EVERY === 0) await pause();
		signal.throwIfAborted();
		if (attributes.skips?.(source) === true) return;
		const stats = fs.lstatSync(fsPath(source));
		if (stats.isDirectory()) return copyDirectory(source, path, stats);
		if (!stats.isFile() && !stats.isSymbolicLink()) return void skipped.push(path);
		clear(target, path);
		const inode = stats.isFile() ? inodeOf(source, stats) : undefined;
		const first = inode === undefined ? undefined : linked.get(inode);
		if (first !== undefined) {
			fs.linkSync(fsPath(joinRaw(root, first)), fsPath(joinRaw(root, path)));
			return;
		}
		if (inode !== undefined) linked.set(inode, path);
		await make(source, joinRaw(root, path), stats, target.libc, signal);
		give(path, source, stats);
	};
	const told = <T>(work: () => T): T =>
		explaining(work, (error) => {
			throw noSpace(error, `files that are copied below ${printablePath(root)}`) ?? error;
		});
	return {
		directory: (path) => told(() => directory(path)),
		copy: (source, path) => told(() => copy(source, path)),
		contents: (source, path) => told(() => contents(source, path)),
		count: () => count,
		skipped: () => skipped,
	};
}

/** Sets owner, mode, attributes and times, in the order in which none undoes another. */
function createGive(
	{ root, ids, libc, claim, isSource = false }: CopyTarget,
	{ ownerOf, mode }: CopyAttributes,
): (path: RootPath, source: RawPath, stats: fs.Stats | undefined) => void {
	return (path, source, stats) => {
		const disk = joinRaw(root, path);
		const owner = ownerOf(source);
		const isLink = stats?.isSymbolicLink() === true;
		const own = ownable(owner, ids) ? owner : { uid: 0, gid: 0 };
		if (isLink) fs.lchownSync(fsPath(disk), own.uid, own.gid);
		else {
			fs.chownSync(fsPath(disk), own.uid, own.gid);
			fs.chmodSync(fsPath(disk), mode ?? (stats === undefined ? 0o755 : stats.mode & (isSource ? 0o777 : 0o7777)));
			if (stats !== undefined && !isSource) copyXattrs(source, disk, libc);
		}
		if (stats !== undefined) (isLink ? fs.lutimesSync : fs.utimesSync)(fsPath(disk), stats.atime, stats.mtime);
		claim(path, owner);
	};
}

/** A host that refuses an attribute also refused it when the layer was unpacked, and said so then. */
function copyXattrs(source: RawPath, disk: RawPath, libc: Libc): void {
	for (const [name, value] of libc.listXattrs(source)) {
		if (isKept(name) && !succeeds(() => libc.setXattr(disk, name, value))) return;
	}
}

async function make(source: RawPath, disk: RawPath, stats: fs.Stats, libc: Libc, signal: AbortSignal): Promise<void> {
	if (stats.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(fsPath(source), { encoding: 'buffer' }), fsPath(disk));
	else if (stats.size >= LARGE_FILE) await copyLargeFile(fsPath(source), fsPath(disk), libc, signal);
	else fs.copyFileSync(fsPath(source), fsPath(disk), fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE);
}

function clear({ root, isSource = false }: CopyTarget, path: RootPath): void {
	if (path === '' || (!isSource && isKernels(path))) throw unplaceable(path, 'cannot be replaced by a file');
	const { stats } = resolveInRoot(root, path, false);
	if (isSource && stats?.isDirectory() === true) throw inTheWay(path, 'a directory');
	if (stats?.isDirectory() === true) throw unplaceable(path, 'is a directory, which a file cannot replace');
	if (stats !== undefined) fs.rmSync(fsPath(joinRaw(root, path)));
}

/** Throws SOURCE_INVALID for a part of `path` that is there and no directory. A link of the source would lead the copy elsewhere (CWE-59). */
function checkWay(root: RawPath, path: RawPath): void {
	let here: RootPath = ROOT;
	for (const part of partsOf(path)) {
		here = childOf(here, part);
		const stats = fs.lstatSync(fsPath(joinRaw(root, here)), { throwIfNoEntry: false });
		if (stats === undefined) return;
		if (!stats.isDirectory()) throw inTheWay(here, stats.isSymbolicLink() ? 'a link' : 'no directory');
	}
}

function inTheWay(path: RootPath, what: string): BuildError {
	const message = `files of an image cannot be copied into the source: its "${printablePath(path)}" is ${what}`;
	return new BuildError('SOURCE_INVALID', message, { hint: 'Name another destination for them.' });
}

function unplaceable(path: RootPath, why: string): BuildError {
	return new BuildError(
		'IMAGE_UNSUPPORTED',
		`files are to be copied to "/${printablePath(path)}" of the image, which ${why}`,
		{ hint: 'Name another destination, or use another image.' },
	);
}

import fs from 'node:fs';
import { BuildError, errnoOf, succeeds } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import { removeTree } from '../remove-tree.js';
import { fsPath, joinRaw, type RawPath, ROOT, type RootPath, rawPath } from '../root-path.js';
import type { TarEntry } from '../tar/entry.js';
import { isKept } from './image-xattrs.js';
import { type IdLimits, mayGive, ownable } from './owner.js';
import type { LayerEntry } from './tree.js';

export interface LayerDiskOptions {
	/** Empty private directory that becomes the layer's root. */
	readonly root: RawPath;
	readonly ids: IdLimits;
	readonly libc: Libc | undefined;
	/** Whether whiteouts and opaque directories are made on disk, which only an overlay needs, or are in the index alone; true by default. */
	readonly whiteouts?: boolean;
}

/** Makes entries of a layer on disk. Every path is a placed one: all its parents are directories that this made. */
export interface LayerDisk {
	/** A directory that nobody declared, in place of any file. */
	readonly makeImplicit: (path: RootPath) => void;
	/** Removes whatever is at `path`, with all below it. */
	readonly clear: (path: RootPath) => void;
	readonly makeDirectory: (path: RootPath, entry: TarEntry, exists: boolean) => void;
	readonly makeSymlink: (path: RootPath, entry: TarEntry) => void;
	readonly makeLink: (path: RootPath, target: RootPath) => void;
	readonly makeSpecial: (path: RootPath, entry: TarEntry) => void;
	readonly makeWhiteout: (path: RootPath) => void;
	readonly openFile: (path: RootPath, entry: TarEntry) => void;
	readonly writeFile: (chunk: Buffer) => void;
	readonly closeFile: () => void;
	/** Closes a file that was left half written. */
	readonly abandon: () => void;
	/** Sets what can only be set last, and tells which extended attributes could not be kept. */
	readonly finish: (directories: readonly (readonly [RootPath, LayerEntry])[]) => readonly string[];
}

/** Names are told to people only. */
const MAX_LOST = 100;
const MAX_LOST_NAME = 255;
const O_NEW_FILE = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
const S_IFCHR = 0o020000;
const S_IFIFO = 0o010000;
/** What a change of owner or the umask, which this process shares with all its threads and programs, may have taken. */
const MASKED_BITS = 0o7022;
const S_ISGID = 0o2000;
const OWNER_ALL = 0o700;

/**
 * A disk for one layer. Modes are exact under any umask that takes no more than 022, which is the worker's. Whiteouts are overlay's;
 * device nodes become empty files that nobody can read.
 */
export function openLayerDisk({ root, ids, libc, whiteouts = true }: LayerDiskOptions): LayerDisk {
	const lost = new Set<string>();
	const diskPath = (path: RootPath) => fsPath(joinRaw(root, path));
	const own = createOwn(ids);
	const setXattrs = (path: RootPath, entry: TarEntry) => keepXattrs(joinRaw(root, path), entry, libc, lost);
	let file: { readonly fd: number; readonly path: RootPath; readonly entry: TarEntry } | undefined;
	return {
		makeImplicit: (path) => makeImplicit(diskPath(path)),
		clear: (path) => removeTree(joinRaw(root, path)),
		makeDirectory: (path, entry, exists) => {
			if (!exists) fs.mkdirSync(diskPath(path), { mode: 0o755 });
			own(entry, (uid, gid) => fs.chownSync(diskPath(path), uid, gid));
			fs.chmodSync(diskPath(path), entry.mode | OWNER_ALL);
			setXattrs(path, entry);
		},
		makeSymlink: (path, entry) => {
			fs.symlinkSync(fsPath(entry.linkPath), diskPath(path));
			own(entry, (uid, gid) => fs.lchownSync(diskPath(path), uid, gid));
			fs.lutimesSync(diskPath(path), dateOf(entry), dateOf(entry));
		},
		makeLink: (path, target) => fs.linkSync(diskPath(target), diskPath(path)),
		makeSpecial: (path, entry) => {
			const isFifo = entry.type === 'fifo' && libc !== undefined;
			if (isFifo) libc.mknod(joinRaw(root, path), S_IFIFO | entry.mode);
			else fs.closeSync(fs.openSync(diskPath(path), O_NEW_FILE, 0));
			own(entry, (uid, gid) => fs.lchownSync(diskPath(path), uid, gid));
			if (isFifo) fs.chmodSync(diskPath(path), entry.mode);
		},
		makeWhiteout: (path) => {
			if (whiteouts) makeWhiteout(joinRaw(root, path), libc);
		},
		openFile: (path, entry) => {
			file = { fd: fs.openSync(diskPath(path), O_NEW_FILE, entry.mode & 0o777), path, entry };
		},
		writeFile: (chunk) => {
			for (let at = 0; file !== undefined && at < chunk.length; ) at += fs.writeSync(file.fd, chunk, at);
		},
		closeFile: () => {
			if (file === undefined) return;
			const { fd, path, entry } = file;
			own(entry, (uid, gid) => fs.fchownSync(fd, uid, gid));
			if ((entry.mode & MASKED_BITS) !== 0) fs.fchmodSync(fd, entry.mode);
			setXattrs(path, entry);
			fs.futimesSync(fd, dateOf(entry), dateOf(entry));
			file = undefined;
			fs.closeSync(fd);
		},
		abandon: () => {
			if (file !== undefined) fs.closeSync(file.fd);
			file = undefined;
		},
		finish: (directories) => {
			for (const [path, entry] of [...directories].reverse())
				finishDirectory(joinRaw(root, path), path, entry, whiteouts ? libc : undefined);
			return [...lost];
		},
	};
}

function makeImplicit(disk: string | Buffer): void {
	try {
		fs.mkdirSync(disk, { mode: 0o755 });
	} catch (error) {
		if (errnoOf(error) !== 'EEXIST') throw error;
		fs.rmSync(disk, { force: true });
		fs.mkdirSync(disk, { mode: 0o755 });
	}
}

/** Whether whiteouts can be made in `directory`: not on an overlay, which keeps them for itself, nor where mknod is forbidden. */
export function canMakeWhiteouts(directory: string, libc: Libc): boolean {
	const probe = `${directory}/whiteout`;
	return succeeds(() => libc.mknod(rawPath(probe), S_IFCHR)) && succeeds(() => fs.rmSync(probe));
}

function makeWhiteout(disk: RawPath, libc: Libc | undefined): void {
	try {
		requireLibc(libc).mknod(disk, S_IFCHR);
	} catch (cause) {
		if (errnoOf(cause) !== 'EPERM') throw cause;
		throw new BuildError(
			'HOST_NO_OVERLAY',
			'the store cannot hold the whiteouts of an overlay (mknod is not permitted)',
			{
				hint: 'Name a directory on ext4, xfs, btrfs or an emptyDir volume with --store DIR or S2OCI_STORE.',
				cause,
			},
		);
	}
}

/**
 * What is made in a setgid directory begins with that directory's group, so from the first one on every owner is set. In place, whoever
 * is not root gives nothing away: all is theirs.
 */
function createOwn(ids: IdLimits): (entry: TarEntry, chown: (uid: number, gid: number) => void) => void {
	if (!mayGive()) return () => undefined;
	let inheritsGroup = false;
	return (entry, chown) => {
		const { uid, gid } = ownable(entry, ids) ? entry : { uid: 0, gid: 0 };
		if (uid !== 0 || gid !== 0 || inheritsGroup) chown(uid, gid);
		inheritsGroup ||= entry.type === 'directory' && (entry.mode & S_ISGID) !== 0;
	};
}

/**
 * Directory times are set last and from the inside out, since writing into a directory changes them, and so are modes that keep whoever is
 * not root from writing into it, as those of the module cache of Go.
 */
function finishDirectory(disk: RawPath, path: RootPath, entry: LayerEntry, libc: Libc | undefined): void {
	if (entry.type !== 'directory' || path === ROOT) return;
	if (entry.opaque === true) libc?.setXattr(disk, 'user.overlay.opaque', Buffer.from('y'));
	if (entry.implicit === true) return;
	fs.utimesSync(fsPath(disk), dateOf(entry), dateOf(entry));
	if ((entry.mode & OWNER_ALL) !== OWNER_ALL) fs.chmodSync(fsPath(disk), entry.mode);
}

/** Node takes a negative number for "now", but not a date before 1970. */
function dateOf({ mtime }: { readonly mtime: number }): number | Date {
	return mtime < 0 ? new Date(mtime * 1000) : mtime;
}

/** Sets the attributes that belong to the image; the names of those that the host refused are added to `lost`. */
function keepXattrs(disk: RawPath, { xattrs }: TarEntry, libc: Libc | undefined, lost: Set<string>): void {
	for (const [name, value] of xattrs) {
		const isLost = isKept(name) && !succeeds(() => requireLibc(libc).setXattr(disk, name, value));
		if (isLost && lost.size < MAX_LOST) lost.add(name.slice(0, MAX_LOST_NAME));
	}
}

function requireLibc(libc: Libc | undefined): Libc {
	if (libc !== undefined) return libc;
	throw new BuildError(
		'HOST_NO_OVERLAY',
		'koffi has no binary for this platform, so overlay whiteouts cannot be made',
		{ hint: 'Install s2oci with its optional dependencies (npm install without --omit=optional) on x64 or arm64.' },
	);
}

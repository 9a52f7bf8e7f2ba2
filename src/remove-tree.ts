import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { errnoOf, succeeds, unlessErrno } from './errors.js';
import { fdPath, fsPath, latin1Path, nameIn, O_PATH, type RawPath } from './root-path.js';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
const ENTER = O_PATH | O_DIRECTORY | O_NOFOLLOW;
const OWNER_ONLY = 0o700;
/** How many directories are open at once; what is deeper is moved up before it is removed. */
const MAX_OPEN = 64;
const MAX_RETRIES = 3;
/** Something was made meanwhile, or is no directory any more, or has become one. */
const CHANGED: readonly (string | undefined)[] = ['ENOTEMPTY', 'ENOTDIR', 'ELOOP', 'EISDIR'];

/** An open directory of the tree that is removed; `top` is the one that directories too deep are moved to. */
interface OpenDirectory {
	readonly fd: number;
	readonly top: number;
	readonly depth: number;
}

/** {@link removeBeneath} for `path` in the directory that it is in, which may be reached by links. */
export function removeTree(path: RawPath): void {
	const slash = path.lastIndexOf('/');
	removeBeneath(latin1Path(slash > 0 ? path.slice(0, slash) : '/'), latin1Path(path.slice(slash + 1)));
}

/**
 * Removes the tree at `path` in the directory `root`, read-only directories included and however deep; nothing there is no error, nor is a
 * link in place of a directory above it, and a link at `path` is removed itself. Below `root` every directory is opened once, without
 * following links, and named by its descriptor from then on: whatever is renamed meanwhile, nothing outside of `root` is removed. Nothing may
 * be mounted below: what is mounted would be emptied.
 */
export function removeBeneath(root: RawPath, path: RawPath): void {
	withEntryBeneath(root, path, (entry) => remove(entry, undefined));
}

/** Removes the directory at `path` in the directory `root` when it is empty, with the promises of {@link removeBeneath}. */
export function removeEmptyBeneath(root: RawPath, path: RawPath): void {
	withEntryBeneath(root, path, (entry) => {
		unlessErrno(['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EBUSY'], () => fs.rmdirSync(fsPath(entry)));
	});
}

/** Calls `use` with a path of the last part of `path` that no rename changes, unless a directory above it is missing or is a link. */
function withEntryBeneath(root: RawPath, path: RawPath, use: (entry: RawPath) => void): void {
	const parts = path.split('/').filter((part) => part !== '');
	if (parts.length === 0) return;
	const opened: number[] = [];
	const open = (directory: RawPath, flags: number): RawPath => {
		const fd = fs.openSync(fsPath(directory), flags);
		opened.push(fd);
		return fdPath(fd);
	};
	try {
		let here = open(root, O_PATH | O_DIRECTORY);
		for (const part of parts.slice(0, -1)) {
			const below = nameIn(here, part);
			const next = unlessErrno(['ENOENT', 'ENOTDIR', 'ELOOP'], () => open(below, ENTER));
			if (next === undefined) return;
			here = next;
		}
		use(nameIn(here, parts.at(-1) ?? ''));
	} catch (error) {
		if (errnoOf(error) !== 'ENOENT') throw error;
	} finally {
		for (const fd of opened) fs.closeSync(fd);
	}
}

/** Also when another thread, or whatever races with us, removes some of it or makes more. */
function remove(path: RawPath, above: OpenDirectory | undefined): void {
	for (let retries = 0; ; retries++) {
		try {
			removeOnce(path, above);
			return;
		} catch (error) {
			if (errnoOf(error) === 'ENOENT') return;
			if (!CHANGED.includes(errnoOf(error)) || retries === MAX_RETRIES) throw error;
		}
	}
}

function removeOnce(path: RawPath, above: OpenDirectory | undefined): void {
	const fd = openDirectory(path);
	if (fd === undefined) {
		fs.unlinkSync(fsPath(path));
		return;
	}
	const directory = { fd, top: above?.top ?? fd, depth: (above?.depth ?? 0) + 1 };
	try {
		// What was moved up meanwhile is found by reading once more.
		while (removeEntries(directory) && directory.top === fd);
	} finally {
		fs.closeSync(fd);
	}
	fs.rmdirSync(fsPath(path));
}

/** Whether there were any. */
function removeEntries(directory: OpenDirectory): boolean {
	const entries = fs.readdirSync(`/proc/self/fd/${directory.fd}`, { withFileTypes: true, encoding: 'buffer' });
	for (const entry of entries) {
		const path = nameIn(fdPath(directory.fd), entry.name.toString('latin1'));
		const isDirectory = entry.isDirectory();
		const unlink = () => unlessErrno(['ENOENT'], () => fs.unlinkSync(fsPath(path)));
		writable(directory.fd, () => (isDirectory ? removeBelow(path, directory) : unlink()));
	}
	return entries.length > 0;
}

function removeBelow(path: RawPath, directory: OpenDirectory): void {
	if (directory.depth < MAX_OPEN || !moveUp(path, directory.top)) remove(path, directory);
}

/** False where the file system moves no directories: an overlay keeps those of its lower layers in place. */
function moveUp(path: RawPath, top: number): boolean {
	const moved = nameIn(fdPath(top), `.s2oci-${randomBytes(12).toString('hex')}`);
	// Its own ".." changes, so it must be writable as well.
	openUp(path);
	return succeeds(() => fs.renameSync(fsPath(path), moved), ['EXDEV']);
}

/** Does `change` to the open directory `fd`; when it may not, once more after making the directory ours to write. */
function writable(fd: number, change: () => void): void {
	try {
		change();
	} catch (error) {
		if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
		fs.fchmodSync(fd, OWNER_ONLY);
		change();
	}
}

/** Undefined for what is no directory. */
function openDirectory(path: RawPath): number | undefined {
	const open = () => fs.openSync(fsPath(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	try {
		return open();
	} catch (error) {
		if (['ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
		if (errnoOf(error) !== 'EACCES') throw error;
		openUp(path);
		return open();
	}
}

/** Makes the directory at `path` itself, never what a link there points to, readable and writable for us. */
function openUp(path: RawPath): void {
	const fd = fs.openSync(fsPath(path), ENTER);
	try {
		fs.chmodSync(`/proc/self/fd/${fd}`, OWNER_ONLY);
	} finally {
		fs.closeSync(fd);
	}
}

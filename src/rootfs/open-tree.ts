import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { attempt, BuildError, errnoOf, succeeds, unlessErrno } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import type { RawPath, RootPath } from '../root-path.js';
import { fdPath, fsPath, latin1Path, nameIn, nameOf, O_PATH, parentOf, printablePath, ROOT } from '../root-path.js';

/**
 * A directory tree in which others may rename, or put links in the place of directories, at any moment: every directory is reached from
 * the root by descriptor, through no link and never out of the root, and then stands for itself, wherever it is moved.
 */
export interface OpenTree {
	/** The directory `path` itself, as a path to list. Good until the next call; throws system errors for what is no directory there. */
	readonly directory: (path: RootPath) => RawPath;
	/** The entry `path` in its directory. It may be a link, which is not to be followed. Good until the next call; throws system errors. */
	readonly entry: (path: RootPath) => RawPath;
	/** Opens the entry `path` for reading; a FIFO is not waited for. Throws system errors, also for a link. */
	readonly open: (path: RootPath) => number;
	readonly close: () => void;
}

/** What opens directories, where there is koffi. */
export type Opener = Pick<Libc, 'openBeneath' | 'standIn'> | undefined;

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const HERE = latin1Path('.');
const ENTER = O_PATH | O_DIRECTORY | O_NOFOLLOW;
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
/** The kernel takes no longer path at once, its final NUL included. */
const PATH_MAX = 4096;
/** As many names of 255 bytes as fit. */
const PIECE = /(?:[^/]+\/){0,14}[^/]+/g;
/** A host or a filter that has no openat2(2). */
const MISSING: readonly string[] = ['ENOSYS', 'EPERM'];
/** EINVAL comes of reading what is no link any more. */
const GONE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'EAGAIN', 'EINVAL'];
/** What opening a file for reading comes to when it has become something else. */
const NO_FILE: readonly (string | undefined)[] = [...GONE, 'ENXIO', 'ENODEV', 'EACCES', 'EPERM', 'EISDIR'];

/** A directory that was entered. */
interface Entered {
	readonly path: RootPath;
	readonly fd: number;
}

/** Opens the tree below the directory `root`, which may itself be reached by links. Throws system errors. */
export function openTree(root: RawPath, libc: Opener): OpenTree {
	return open(root, libc, ({ fd }) => fdPath(fd));
}

function open(root: RawPath, libc: Opener, pathOf: (entered: Entered) => RawPath): OpenTree {
	const top = openSync(fsPath(root), O_PATH | O_DIRECTORY);
	const whole: Entered = { path: ROOT, fd: top };
	// Entries of one directory are mostly asked for one after the other.
	let last: Entered | undefined;
	const leave = () => {
		if (last !== undefined) closeSync(last.fd);
		last = undefined;
	};
	const directory = (path: RootPath): RawPath => {
		if (path === ROOT) return pathOf(whole);
		if (last?.path !== path) {
			leave();
			last = { path, fd: enter(top, path, libc) };
		}
		return pathOf(last);
	};
	const entry = (path: RootPath) => nameIn(directory(parentOf(path)), path === ROOT ? '.' : nameOf(path));
	return {
		directory,
		entry,
		open: (path) => {
			// One call does it where it can, and so for most files.
			const opened = path.length < PATH_MAX ? tryBeneath(top, path, READ, libc) : undefined;
			return opened ?? openSync(fsPath(entry(path)), READ);
		},
		close: () => {
			leave();
			closeSync(top);
		},
	};
}

/**
 * Runs `work` with the tree below `root` open. This process is in the directories of the tree meanwhile, since a name costs the kernel half
 * of a path by way of /proc: `work` must end before anything else runs here, and name all else by absolute paths.
 */
export function withTree<T>(root: RawPath, libc: Opener, work: (tree: OpenTree) => T): T {
	const isInner = isStanding;
	// None where it was removed.
	const before = isMainThread && !isInner ? attempt(() => process.cwd()) : undefined;
	const isFixed = libc === undefined || (before === undefined && !isInner);
	const tree = open(root, libc, isFixed ? ({ fd }) => fdPath(fd) : (entered) => standIn(entered, libc));
	isStanding = !isFixed;
	try {
		return work(tree);
	} finally {
		tree.close();
		standing = undefined;
		isStanding = isInner;
		if (before !== undefined) process.chdir(before);
	}
}

/** The directory that this process is in; trees that are open at once take turns. */
let standing: Entered | undefined;
let isStanding = false;

/** A directory that may be listed, but not entered, is named by its descriptor. */
function standIn(entered: Entered, libc: Pick<Libc, 'standIn'>): RawPath {
	if (standing === entered) return HERE;
	standing = succeeds(() => libc.standIn(entered.fd)) ? entered : undefined;
	return standing === undefined ? fdPath(entered.fd) : HERE;
}

/** Opens the regular file `path` of `tree` for reading. Throws ASSEMBLE_SURVIVED when there is none any more. */
export function openFile(tree: OpenTree, path: RootPath): number {
	const file = openAny(tree, path);
	if (fstatSync(file).isFile()) return file;
	closeSync(file);
	throw changedMeanwhile(path);
}

/** Like {@link openFile}, but it may be something else than a file. */
export function openAny(tree: OpenTree, path: RootPath): number {
	try {
		return tree.open(path);
	} catch (cause) {
		throw NO_FILE.includes(errnoOf(cause)) ? changedMeanwhile(path, cause) : cause;
	}
}

/** ASSEMBLE_SURVIVED: the file at `path` is no more what it was when the changes were looked for. */
export function changedMeanwhile(path: RootPath, cause?: unknown): BuildError {
	return new BuildError('ASSEMBLE_SURVIVED', `"/${printablePath(path)}" was changed while the layer was made`, {
		hint: 'Something else still works in the root filesystem of the build. End it, and build again.',
		cause,
	});
}

/** What `look` finds; undefined for what has gone, or is no more below the root. */
export function unlessGone<T>(look: () => T): T | undefined {
	return unlessErrno(GONE, look);
}

function enter(top: number, path: RootPath, libc: Opener): number {
	const pieces = path.length < PATH_MAX ? [path] : (path.match(PIECE) ?? []).map(latin1Path);
	return through(top, pieces, (from, piece) => step(from, piece, libc));
}

/** Opens one after the other, each from the one before, and closes all but the last. */
function through(top: number, pieces: readonly RawPath[], open: (from: number, piece: RawPath) => number): number {
	let here = top;
	for (const piece of pieces) {
		try {
			const next = open(here, piece);
			if (here !== top) closeSync(here);
			here = next;
		} catch (error) {
			if (here !== top) closeSync(here);
			throw error;
		}
	}
	return here;
}

function step(from: number, piece: RawPath, libc: Opener): number {
	const opened = tryBeneath(from, piece, ENTER, libc);
	if (opened !== undefined) return opened;
	return through(from, piece.split('/').map(latin1Path), (here, part) =>
		openSync(fsPath(nameIn(fdPath(here), part)), ENTER),
	);
}

/** Undefined where there is no openat2(2). */
function tryBeneath(from: number, path: RawPath, flags: number, libc: Opener): number | undefined {
	return unlessErrno(MISSING, () => libc?.openBeneath(from, path, flags));
}

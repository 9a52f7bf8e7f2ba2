import { accessSync, chmodSync, closeSync, constants, fstatSync, openSync, readdirSync, statSync } from 'node:fs';
import { BuildError, succeeds } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import type { RawPath, RootPath } from '../root-path.js';
import { fdPath, fsPath, isBelowAny, O_PATH, printablePath, ROOT_DIRECTORY } from '../root-path.js';
import { type Before, openBrought } from './brought.js';
import type { FileUser } from './file-access.js';
import { type OpenTree, unlessGone, withTree } from './open-tree.js';
import type { RootDirectory } from './root-directory.js';
import { awaitNextTick, type Stamps, scanChanges, stampTree } from './stamps.js';
import type { UpperEntry } from './upper.js';

/** A file or directory that was put into the root filesystem for the build. */
export interface Placed {
	readonly path: RootPath;
	/** Whether it is to be part of the layer. */
	readonly keep: boolean;
}

/** The root filesystem that this process itself lives in. */
export interface InPlaceRoot extends RootDirectory {
	/**
	 * Remembers what is there; `scan` finds what is changed from now on, and all of what was placed to be kept. `user` is who assemble runs
	 * as; undefined when it is this process's user.
	 */
	readonly stamp: (placed: readonly Placed[], user?: FileUser) => void;
	/** Where the last scan has left out what assemble's user could not read. */
	readonly hidden: () => readonly RootPath[];
	/** Whether what is open as `file`, now at `path`, is not what assemble's user had no right to read or make. */
	readonly isReadable: (path: RootPath, file: number) => boolean;
	/** Gives back the modes of what could not be read without changing them. */
	readonly restore: () => void;
}

export interface InPlaceContext extends Pick<Before, 'isDeclared' | 'isImages'> {
	/** Paths that are no part of the image, such as mounts; asked at each walk. */
	readonly foreign: () => ReadonlySet<RootPath>;
	/** A private directory, for files that pass time. */
	readonly scratch: string;
	readonly libc: Libc;
	/** Another root directory than `/`, for tests. */
	readonly root?: RawPath;
}

const READ_FILE = 0o400;
const READ_DIRECTORY = 0o500;
/** Of acl(5), in xattr(7). */
const ACL = 'system.posix_acl_access';
const NO_STAMPS: Stamps = new Map();

/**
 * The live root filesystem as a place to build in: nothing is mounted or copied, and changes are found by comparing each entry with how it
 * was at {@link InPlaceRoot.stamp}. Directories that this user may not read are left out, since it cannot change what is in them, and so is
 * what the job itself brought or writes (`openBrought`). Scanning throws ASSEMBLE_FAILED for a new file that cannot be read.
 */
export function openInPlace(context: InPlaceContext): InPlaceRoot {
	const { foreign, scratch, libc, isDeclared, isImages, root = ROOT_DIRECTORY } = context;
	const { list, canRead, restore } = openWidening(root, libc);
	let stamps: Stamps = NO_STAMPS;
	const hasAcl = (disk: RawPath) => libc.listXattrs(disk).has(ACL);
	const openWith = (user: FileUser | undefined) => openBrought({ root, stamps, isDeclared, isImages, user, hasAcl });
	let brought = openWith(undefined);
	let left: readonly RootPath[] = [];
	let kept: readonly RootPath[] = [];
	const readable = (tree: OpenTree, { path, type }: UpperEntry): boolean => {
		if (type !== 'file' || canRead(tree, path)) return true;
		if (stamps.has(path)) return false;
		throw unreadable(path);
	};
	// Everything at and below `from`, as new.
	const scanNew = (from: RootPath) => scanChanges({ root, skip: new Set(), list, from }, NO_STAMPS, libc);
	return {
		path: root,
		changed: root,
		mount: () => undefined,
		unmount: () => undefined,
		close: () => undefined,
		hideBelow: () => undefined,
		hidden: () => left,
		isReadable: (path, file) =>
			brought.isReadable(path, {
				stats: fstatSync(file, { bigint: true }),
				hasAcl: () => libc.listOpenXattrs(file).has(ACL),
			}),
		stamp: (placed, user) => {
			kept = placed.filter(({ keep }) => keep).map(({ path }) => path);
			const skip = new Set([...foreign(), ...placed.map(({ path }) => path)]);
			stamps = stampTree({ root, skip, list: listReadable }, libc);
			brought = openWith(user);
			awaitNextTick(stamps, scratch);
		},
		scan: (skip) => {
			restore();
			const others = new Set([...foreign(), ...skip]);
			const changes = scanChanges({ root, skip: others, list }, stamps, libc);
			const apart = kept.filter((path) => !skip.has(path) && isBelowAny(path, others));
			const found = brought.without([...changes, ...apart.flatMap(scanNew)]);
			left = found.hidden;
			return withTree(root, libc, (tree) => found.changes.filter((entry) => readable(tree, entry)));
		},
		restore,
	};
}

/** Reads what belongs to this process's user, whatever its mode is, until it is given back. */
interface Widening {
	readonly list: (path: RootPath, disk: RawPath) => readonly string[];
	/** Whether the file at `path` can be read, or is gone. */
	readonly canRead: (tree: OpenTree, path: RootPath) => boolean;
	/** Gives back the modes. */
	readonly restore: () => void;
}

function openWidening(root: RawPath, libc: Libc): Widening {
	const me = process.getuid?.() ?? 0;
	const widened = new Map<RootPath, number>();
	const widen = (path: RootPath, disk: RawPath, bits: number): boolean => {
		const { uid, mode } = statSync(fsPath(disk));
		if (uid !== me) return false;
		widened.set(path, mode & 0o7777);
		chmodSync(fsPath(disk), (mode & 0o7777) | bits);
		return true;
	};
	const list = (path: RootPath, disk: RawPath): readonly string[] => {
		if (!isReadable(disk, constants.R_OK | constants.X_OK) && !widen(path, disk, READ_DIRECTORY)) return [];
		return readdirSync(fsPath(disk), { encoding: 'latin1' });
	};
	const canRead = (tree: OpenTree, path: RootPath): boolean =>
		withEntry(tree, path, (disk) => isReadable(disk, constants.R_OK) || widen(path, disk, READ_FILE)) !== false;
	const restore = () => {
		withTree(root, libc, (tree) => {
			// What is gone by now needs no mode.
			for (const [path, mode] of [...widened].reverse()) {
				withEntry(tree, path, (disk) => chmodSync(fsPath(disk), mode));
			}
		});
		widened.clear();
	};
	return { list, canRead, restore };
}

function listReadable(_: RootPath, disk: RawPath): readonly string[] {
	return isReadable(disk, constants.R_OK | constants.X_OK) ? readdirSync(fsPath(disk), { encoding: 'latin1' }) : [];
}

/** Does `work` to the file or directory `path` itself, which is no link; undefined when it is gone. */
function withEntry<T>(tree: OpenTree, path: RootPath, work: (disk: RawPath) => T): T | undefined {
	const file = unlessGone(() => openSync(fsPath(tree.entry(path)), O_PATH | constants.O_NOFOLLOW));
	if (file === undefined) return undefined;
	try {
		return fstatSync(file).isSymbolicLink() ? undefined : work(fdPath(file));
	} finally {
		closeSync(file);
	}
}

function isReadable(disk: RawPath, mode: number): boolean {
	return succeeds(() => accessSync(fsPath(disk), mode), ['EACCES']);
}

function unreadable(path: RootPath): BuildError {
	return new BuildError(
		'ASSEMBLE_FAILED',
		`"/${printablePath(path)}" is new, belongs to another user and cannot be read`,
		{
			hint: 'Something else than assemble made it in this container. Give it to the user that runs the job, or remove it.',
		},
	);
}

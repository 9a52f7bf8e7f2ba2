import * as fs from 'node:fs';
import { BuildError, errnoOf } from '../errors.js';
import { hostFault } from '../host-fault.js';
import * as raw from '../root-path.js';
import type { TarEntry } from '../tar/entry.js';
import { sourceFull } from './directory.js';

/** One member of an archive, with its name as written. */
export type ArchiveEntry = Pick<TarEntry, 'type' | 'path' | 'linkPath' | 'mode' | 'mtime'>;

/** Takes an archive in order: `entry`, then for files `data` and `close`; `finish` at the end, `abandon` instead after a failure. */
export interface Extraction {
	readonly entry: (entry: ArchiveEntry) => void;
	readonly data: (chunk: Buffer) => void;
	readonly close: () => void;
	readonly finish: () => void;
	readonly abandon: () => void;
}

type Made = { readonly type: 'directory' | 'file' | 'symlink' } & Pick<ArchiveEntry, 'mode' | 'mtime'>;

const IMPLIED: Made = { type: 'directory', mode: 0o755, mtime: 0 };
const MAX_DEPTH = 256;
const MAX_TIME = 0x3_ffff_ffff;

/**
 * Unpacks into the new, private directory `root`. Everything in it is known, so names are resolved without the disk: nothing is
 * ever written through a link, and hard links lead to files of this archive only (class of CVE-2018-1103, CVE-2026-28406). The
 * targets of symbolic links are not looked at. Owner, setuid and setgid are dropped; what the owner could not read, it can. Throws
 * SOURCE_INVALID for names that leave the directory, devices and FIFOs; HOST_NO_SPACE.
 */
export function createExtraction(root: raw.RawPath, budget: Budget): Extraction {
	const tree = createTree(root);
	const guard = guardIn(root);
	let current: { readonly file: number; readonly entry: ArchiveEntry } | undefined;
	return {
		entry: (entry) => {
			budget.addEntry();
			const path = confinedPath(entry.path);
			if (entry.type === 'fifo') throw refused(path, 'is a FIFO');
			if (entry.type === 'character' || entry.type === 'block') throw refused(path, 'is a device');
			if (path === raw.ROOT && entry.type !== 'directory') throw refused(path, 'would replace the source directory');
			const file = path === raw.ROOT ? undefined : guard(path, () => tree.make(path, entry));
			current = file === undefined ? undefined : { file, entry };
		},
		data: (chunk) => {
			const { file, entry } = current ?? {};
			if (file !== undefined) guard(entry?.path ?? raw.ROOT, () => fs.writeFileSync(file, chunk));
		},
		close: () => {
			if (current === undefined) return;
			const { file, entry } = current;
			guard(entry.path, () => {
				fs.fchmodSync(file, (entry.mode & 0o1777) | 0o400);
				fs.futimesSync(file, timeOf(entry), timeOf(entry));
				current = undefined;
				fs.closeSync(file);
			});
		},
		finish: () => guard(raw.ROOT, tree.finish),
		abandon: () => {
			if (current !== undefined) fs.closeSync(current.file);
			current = undefined;
		},
	};
}

interface Tree {
	/** Makes `path`; the open file when it is one. */
	readonly make: (path: raw.RootPath, entry: ArchiveEntry) => number | undefined;
	/** Gives directories their modes and times, which making what is in them would need or change. */
	readonly finish: () => void;
}

function createTree(root: raw.RawPath): Tree {
	const made = new Map<raw.RootPath, Made>([[raw.ROOT, IMPLIED]]);
	const makeDirectory = (path: raw.RootPath, entry: Made): void => {
		const known = made.get(path);
		if (known !== undefined && known.type !== 'directory') throw refused(path, `is a ${known.type} and a directory`);
		if (known === undefined) fs.mkdirSync(raw.fsPath(raw.joinRaw(root, path)), { mode: 0o700 });
		made.set(path, entry);
	};
	const makeParents = (path: raw.RootPath): void => {
		const parent = raw.parentOf(path);
		if (made.get(parent)?.type === 'directory') return;
		if (!made.has(parent)) makeParents(parent);
		makeDirectory(parent, IMPLIED);
	};
	const makeOther = (path: raw.RootPath, entry: ArchiveEntry): number | undefined => {
		const known = made.get(path);
		if (known?.type === 'directory') throw refused(path, `is a directory and a ${entry.type}`);
		const source = entry.type === 'link' ? hardLinkSource(entry, made) : undefined;
		if (source === path) return undefined;
		const host = raw.fsPath(raw.joinRaw(root, path));
		if (known !== undefined) fs.unlinkSync(host);
		made.set(path, { ...entry, type: entry.type === 'symlink' ? 'symlink' : 'file' });
		if (source !== undefined) fs.linkSync(raw.fsPath(raw.joinRaw(root, source)), host);
		else if (entry.type === 'symlink') makeLink(host, entry);
		else return fs.openSync(host, 'wx', 0o600);
		return undefined;
	};
	return {
		make: (path, entry) => {
			makeParents(path);
			if (entry.type !== 'directory') return makeOther(path, entry);
			makeDirectory(path, { type: 'directory', mode: entry.mode, mtime: entry.mtime });
			return undefined;
		},
		finish: () => {
			for (const [path, entry] of [...made].reverse()) {
				if (entry.type !== 'directory' || path === raw.ROOT) continue;
				const host = raw.fsPath(raw.joinRaw(root, path));
				fs.chmodSync(host, (entry.mode & 0o1777) | 0o700);
				if (entry !== IMPLIED) fs.utimesSync(host, timeOf(entry), timeOf(entry));
			}
		},
	};
}

function makeLink(host: string | Buffer, entry: ArchiveEntry): void {
	fs.symlinkSync(raw.fsPath(entry.linkPath), host);
	fs.lutimesSync(host, timeOf(entry), timeOf(entry));
}

/** The path that a name of the archive means. An honest tool writes neither `..` nor absolute names. */
function confinedPath(name: raw.RawPath): raw.RootPath {
	const parts = raw.partsOf(name);
	const path = parts.join('/') as raw.RootPath;
	if (name.startsWith('/') || parts.includes('..')) throw refused(name, 'leads out of the source');
	if (name.includes('\0')) throw refused(name, 'has a zero byte in its name');
	if (parts.length > MAX_DEPTH) throw refused(name, `is more than ${MAX_DEPTH} directories deep`);
	return path;
}

function hardLinkSource(entry: ArchiveEntry, made: ReadonlyMap<raw.RootPath, Made>): raw.RootPath {
	const source = confinedPath(entry.linkPath);
	if (made.get(source)?.type === 'file') return source;
	throw refused(
		entry.path,
		`is a hard link to ${raw.printablePath(source)}, which is not an earlier file of the archive`,
	);
}

/** What the system refuses is said of an entry, unless it is the disk that has no room. */
function guardIn(root: raw.RawPath): <T>(path: raw.RawPath, work: () => T) => T {
	return (path, work) => {
		try {
			return work();
		} catch (cause) {
			const fault = sourceFull(cause, raw.fsPath(root)) ?? hostFault(cause);
			if (fault !== cause || errnoOf(cause) === undefined) throw fault;
			throw refused(path, `cannot be unpacked: ${errnoOf(cause) ?? ''}`, cause);
		}
	};
}

function timeOf({ mtime }: Pick<ArchiveEntry, 'mtime'>): number {
	return Math.min(Math.max(mtime, 0), MAX_TIME);
}

function refused(path: raw.RawPath, problem: string, cause?: unknown): BuildError {
	const message = `${raw.printablePath(raw.latin1Path(path.slice(0, 200))) || '.'} of the archive ${problem}`;
	return new BuildError('SOURCE_INVALID', message, {
		hint: 'Make the archive anew without this entry, or unpack it and build the directory.',
		cause,
	});
}

/** What an archive may still grow to; every call throws SOURCE_INVALID when it goes beyond. Numbers are bytes. */
export interface Budget {
	readonly addPacked: (bytes: number) => void;
	readonly addUnpacked: (bytes: number) => void;
	readonly addEntry: () => void;
}

const MAX_ENTRIES = 1_000_000;
const MAX_BYTES = 8 * 1024 ** 3;
/** Small archives may compress as well as they like. */
const FREE_BYTES = 64 * 1024 ** 2;
const MAX_RATIO = 200;

/** Limits against archives that are small and unpack to what fills a disk (class of CVE-2026-25122). */
export function createBudget(): Budget {
	let packed = 0;
	let unpacked = 0;
	let entries = 0;
	return {
		addPacked: (bytes) => {
			packed += bytes;
			if (packed > MAX_BYTES) throw tooLarge('it is larger than 8 GiB');
		},
		addUnpacked: (bytes) => {
			unpacked += bytes;
			if (unpacked > MAX_BYTES) throw tooLarge('it unpacks to more than 8 GiB');
			if (unpacked > Math.max(FREE_BYTES, MAX_RATIO * packed)) {
				throw tooLarge(`it unpacks to more than ${MAX_RATIO} times its size`);
			}
		},
		addEntry: () => {
			entries += 1;
			if (entries > MAX_ENTRIES) throw tooLarge(`it has more than ${MAX_ENTRIES} entries`);
		},
	};
}

function tooLarge(problem: string): BuildError {
	return new BuildError('SOURCE_INVALID', `the archive is refused: ${problem}`, {
		hint: 'Leave out what is not source code, or unpack the archive and build the directory.',
	});
}

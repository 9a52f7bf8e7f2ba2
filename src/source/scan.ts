import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { BuildError, errnoOf } from '../errors.js';
import * as raw from '../root-path.js';

/** What a source directory holds. */
export interface SourceEntry {
	readonly path: raw.RootPath;
	/** Where it is on the host; elsewhere than `path` says when a link was followed. */
	readonly host: raw.RawPath;
	readonly type: 'file' | 'directory' | 'symlink';
	/** As on the host, at most 0o7777. */
	readonly mode: number;
	/** Seconds since 1970. */
	readonly mtime: number;
	/** Bytes. */
	readonly size: number;
	/** Of symlinks only. */
	readonly target?: raw.RawPath;
}

/** A directory that is being scanned. */
export interface Place {
	readonly path: raw.RootPath;
	/** Real path on the host. */
	readonly host: raw.RawPath;
	/** The source itself, or the link through which the scan came here. */
	readonly base: raw.RootPath;
	/** Real paths of the directories whose copies hold this one, outermost first: the source, then each target of a link. */
	readonly chain: readonly raw.RawPath[];
}

export interface ScanOptions {
	/** Which entries are left out with what is below them, asked once for each path that is met. */
	readonly omit: (path: raw.RootPath) => boolean;
	/** What is there instead of the symbolic link `entry` of the directory `place`; links remain links when undefined. */
	readonly follow?: (entry: SourceEntry, place: Place) => Promise<SourceEntry>;
	/** Told of each socket and FIFO, which are left out: they are doors of processes of this host, and hold nothing. */
	readonly leftOut?: (path: raw.RootPath) => void;
}

/**
 * Every entry below the directory `root`, a real path, each directory before what is in it. Sockets and FIFOs are left out, and so is
 * what vanishes meanwhile. Throws SOURCE_INVALID for devices and what cannot be read.
 */
export async function* scanSource(
	root: raw.RawPath,
	{ omit, follow, leftOut }: ScanOptions,
	signal: AbortSignal,
): AsyncGenerator<SourceEntry> {
	const places: Place[] = [{ path: raw.ROOT, host: root, base: raw.ROOT, chain: [root] }];
	for (let place = places.pop(); place !== undefined; place = places.pop()) {
		signal.throwIfAborted();
		for (const name of await listDirectory(place)) {
			const path = raw.childOf(place.path, name);
			if (omit(path)) continue;
			const host = raw.nameIn(place.host, name);
			const found = await readEntry(path, host);
			if (found === 'left out') leftOut?.(path);
			if (typeof found === 'string') continue;
			const entry = (await follow?.(found, place)) ?? found;
			if (entry.type === 'directory') {
				const { base, chain } = entry.host === host ? place : { base: path, chain: [...place.chain, entry.host] };
				places.push({ path, host: entry.host, base, chain });
			}
			yield entry;
		}
	}
}

/**
 * Refuses, with SOURCE_INVALID, a symbolic link whose target is absolute or climbs out of the source: in the container it would
 * lead somewhere else than here (hostile-copy class of CVE-2026-33748).
 */
export function checkLink(entry: SourceEntry): void {
	if (entry.target === undefined || staysBelow(raw.ROOT, raw.parentOf(entry.path), entry.target)) return;
	throw sourceInvalid(entry.path, `is a symbolic link that leaves the source, to ${raw.printablePath(entry.target)}`, {
		hint: 'Replace the link by what it points to, name it in .s2iignore, or keep it with --keep-symlinks.',
	});
}

/** Whether the link text `target` in the directory `from`, which is `base` or below it, names something in `base`, by path parts. */
export function staysBelow(base: raw.RootPath, from: raw.RootPath, target: raw.RawPath): boolean {
	let depth = depthOf(from) - depthOf(base);
	for (const part of target.split('/').filter((each) => each !== '' && each !== '.')) {
		depth += part === '..' ? -1 : 1;
		if (depth < 0) return false;
	}
	return !target.startsWith('/');
}

/** SOURCE_INVALID about one path of the source. */
export function sourceInvalid(
	path: raw.RootPath,
	problem: string,
	options: { readonly hint: string; readonly cause?: unknown },
): BuildError {
	return new BuildError('SOURCE_INVALID', `${raw.printablePath(path) || 'the source directory'} ${problem}`, options);
}

/** SOURCE_INVALID for a failed system call on `path`. */
export function unreadable(path: raw.RootPath, cause: unknown): BuildError {
	return sourceInvalid(path, `cannot be read: ${errnoOf(cause) ?? 'unknown error'}`, {
		hint: 'Give this user permission to read it, or name it in .s2iignore.',
		cause,
	});
}

/** What `stat` says of the file, directory or link `path` at `host`. Throws SOURCE_INVALID for anything else. */
export function entryOf(path: raw.RootPath, host: raw.RawPath, stat: Stats): SourceEntry {
	const { mode, mtimeMs, size } = stat;
	return { path, host, type: typeOf(path, stat), mode: mode & 0o7777, mtime: mtimeMs / 1000, size };
}

function depthOf(path: raw.RootPath): number {
	return path === '' ? 0 : path.split('/').length;
}

async function listDirectory({ path, host }: Place): Promise<readonly string[]> {
	try {
		return (await readdir(raw.fsPath(host), { encoding: 'latin1' })).sort();
	} catch (cause) {
		if (errnoOf(cause) === 'ENOENT' && path !== raw.ROOT) return [];
		throw unreadable(path, cause);
	}
}

async function readEntry(path: raw.RootPath, host: raw.RawPath): Promise<SourceEntry | 'left out' | 'gone'> {
	try {
		const stat = await lstat(raw.fsPath(host));
		if (stat.isSocket() || stat.isFIFO()) return 'left out';
		const entry = entryOf(path, host, stat);
		return entry.type === 'symlink'
			? { ...entry, target: raw.latin1Path(await readlink(raw.fsPath(host), { encoding: 'latin1' })) }
			: entry;
	} catch (cause) {
		if (errnoOf(cause) === 'ENOENT') return 'gone';
		throw cause instanceof BuildError ? cause : unreadable(path, cause);
	}
}

function typeOf(path: raw.RootPath, stat: Stats): SourceEntry['type'] {
	if (stat.isFile()) return 'file';
	if (stat.isDirectory()) return 'directory';
	if (stat.isSymbolicLink()) return 'symlink';
	throw sourceInvalid(path, 'is a device, which cannot be built', { hint: 'Remove it, or name it in .s2iignore.' });
}

import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { BuildError, errnoOf } from '../errors.js';
import { childOf, fsPath, joinRaw, parentOf, printablePath, type RawPath, ROOT, type RootPath } from '../root-path.js';
import type { Ignore } from './ignore.js';

/** Which entries a scan leaves out, asked once for each path that it meets. */
export type LeaveOut = (path: RootPath) => boolean;

/** {@link LeaveOut} for the rules `ignore`, which speak of names as UTF-8 text. */
export function leaveOut(ignore: Ignore): LeaveOut {
	return (path) => ignore(Buffer.from(path, 'latin1').toString('utf8'));
}

/** What a source directory holds. */
export interface SourceEntry {
	readonly path: RootPath;
	readonly type: 'file' | 'directory' | 'symlink';
	readonly mode: number;
	/** Seconds since 1970. */
	readonly mtime: number;
	/** Of symlinks only. */
	readonly target?: RawPath;
}

/**
 * Every entry below the directory `root`, each directory before what is in it, without what `omit` names. Throws SOURCE_INVALID
 * for sockets, FIFOs, devices and what cannot be read.
 */
export async function* scanSource(root: RawPath, omit: LeaveOut, signal: AbortSignal): AsyncGenerator<SourceEntry> {
	const directories: RootPath[] = [ROOT];
	for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
		signal.throwIfAborted();
		for (const name of await listDirectory(root, directory)) {
			const path = childOf(directory, name);
			if (omit(path)) continue;
			const entry = await readEntry(root, path);
			if (entry.type === 'directory') directories.push(path);
			yield entry;
		}
	}
}

/**
 * Refuses, with SOURCE_INVALID, a symbolic link whose target is absolute or climbs out of the source: in the container it would
 * lead somewhere else than here (hostile-copy class of CVE-2026-33748).
 */
export function checkLink(entry: SourceEntry): void {
	if (entry.target === undefined || staysInside(parentOf(entry.path), entry.target)) return;
	throw sourceInvalid(entry.path, `is a symbolic link that leaves the source, to ${printablePath(entry.target)}`, {
		hint: 'Replace the link by what it points to, or name it in .s2iignore.',
	});
}

/** SOURCE_INVALID about one path of the source. */
function sourceInvalid(path: RootPath, problem: string, options: { hint: string; cause?: unknown }): BuildError {
	return new BuildError('SOURCE_INVALID', `${printablePath(path) || 'the source directory'} ${problem}`, options);
}

/** SOURCE_INVALID for a failed system call on `path`. */
export function unreadable(path: RootPath, cause: unknown): BuildError {
	return sourceInvalid(path, `cannot be read: ${errnoOf(cause) ?? 'unknown error'}`, {
		hint: 'Give this user permission to read it, or name it in .s2iignore.',
		cause,
	});
}

function staysInside(from: RootPath, target: RawPath): boolean {
	let depth = from === '' ? 0 : from.split('/').length;
	for (const part of target.split('/').filter((each) => each !== '' && each !== '.')) {
		depth += part === '..' ? -1 : 1;
		if (depth < 0) return false;
	}
	return !target.startsWith('/');
}

async function listDirectory(root: RawPath, directory: RootPath): Promise<readonly string[]> {
	try {
		return (await readdir(fsPath(joinRaw(root, directory)), { encoding: 'latin1' })).sort();
	} catch (cause) {
		throw unreadable(directory, cause);
	}
}

async function readEntry(root: RawPath, path: RootPath): Promise<SourceEntry> {
	const host = fsPath(joinRaw(root, path));
	const stat = await lstat(host).catch((cause: unknown) => {
		throw unreadable(path, cause);
	});
	const entry = { path, type: typeOf(path, stat), mode: stat.mode & 0o7777, mtime: stat.mtimeMs / 1000 };
	return entry.type === 'symlink' ? { ...entry, target: await readlink(host, { encoding: 'latin1' }) } : entry;
}

function typeOf(path: RootPath, stat: Stats): SourceEntry['type'] {
	if (stat.isFile()) return 'file';
	if (stat.isDirectory()) return 'directory';
	if (stat.isSymbolicLink()) return 'symlink';
	const what = stat.isFIFO() ? 'FIFO' : stat.isSocket() ? 'socket' : 'device';
	throw sourceInvalid(path, `is a ${what}, which cannot be built`, { hint: 'Remove it, or name it in .s2iignore.' });
}

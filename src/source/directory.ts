import { constants } from 'node:fs';
import { chmod, copyFile, lutimes, mkdir, rm, symlink, utimes } from 'node:fs/promises';
import { type BuildError, errnoOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { copyLargeFile, LARGE_FILE } from '../linux/copy-file.js';
import { loadLibc } from '../linux/libc.js';
import { fsPath, joinRaw, type RawPath, type RootPath } from '../root-path.js';
import { checkLink, type ScanOptions, type SourceEntry, scanSource, unreadable } from './scan.js';

const PARALLEL_COPIES = 8;

/**
 * Copies what a scan of the real path `from` finds into the empty directory `to`: modes, mtimes, empty directories and links are kept.
 * Resolves with the newest mtime of a file or link, in seconds. Throws SOURCE_INVALID for what cannot be copied faithfully.
 */
export async function copyDirectory(
	from: RawPath,
	to: RawPath,
	options: ScanOptions,
	signal: AbortSignal,
): Promise<number> {
	const entries: SourceEntry[] = [];
	for await (const entry of scanSource(from, options, signal)) entries.push(entry);
	const directories = entries.filter(({ type }) => type === 'directory');
	const others = entries.filter(({ type }) => type !== 'directory');
	for (const { path } of directories) await mkdir(fsPath(joinRaw(to, path)), { mode: 0o700 });
	await copyEntries(others, to, signal);
	for (const entry of directories.toReversed()) {
		const path = fsPath(joinRaw(to, entry.path));
		await chmod(path, keptMode(entry));
		await utimes(path, entry.mtime, entry.mtime);
	}
	return newestOf(others);
}

/**
 * Copies one file to the host path `to`, with mode and mtime. False when it is there no more, as files that editors and servers make
 * for a moment are. Throws SOURCE_INVALID, HOST_NO_SPACE; rejects with the signal's reason soon after it is aborted.
 */
export async function copyEntry(entry: SourceEntry, to: string | Buffer, signal: AbortSignal): Promise<boolean> {
	if (entry.target !== undefined) {
		await symlink(fsPath(entry.target), to);
		await lutimes(to, entry.mtime, entry.mtime);
		return true;
	}
	try {
		await copyContent(fsPath(entry.host), to, entry.size, signal);
	} catch (cause) {
		signal.throwIfAborted();
		if (errnoOf(cause) === 'ENOENT') return false;
		throw sourceFull(cause, to) ?? unreadable(entry.path, cause);
	}
	await chmod(to, keptMode(entry));
	await utimes(to, entry.mtime, entry.mtime);
	return true;
}

/**
 * What becomes of a source. `modes` of `git` are those that git records (0755 or 0644), where the umask of this process would otherwise
 * leak into the image; `links` of `inside` must not leave the source.
 */
export interface Rules {
	readonly modes: 'git' | 'kept';
	readonly links: 'any' | 'inside';
}

/**
 * Removes what `omit` names from the checkout or unpacked archive `root`, and has the rest follow the rules. Resolves with the newest
 * mtime of a file or link, in seconds. Throws SOURCE_INVALID for links that they forbid.
 */
export async function tidyDirectory(
	root: RawPath,
	{ omit, modes, links }: ScanOptions & Rules,
	signal: AbortSignal,
): Promise<number> {
	const omitted: RootPath[] = [];
	let newest = 0;
	const collect = (path: RootPath) => omit(path) && omitted.push(path) > 0;
	for await (const entry of scanSource(root, { omit: collect }, signal)) {
		if (links === 'inside') checkLink(entry);
		if (modes === 'git') await setGitMode(entry);
		if (entry.type !== 'directory') newest = Math.max(newest, newestOf([entry]));
	}
	for (const path of omitted) await removeUntil(fsPath(joinRaw(root, path)), signal);
	return newest;
}

/** Gives all in `root` the modes and times that a checkout at this moment would give it. Throws SOURCE_INVALID. */
export async function imitateCheckout(root: RawPath, signal: AbortSignal): Promise<void> {
	const now = Date.now() / 1000;
	for await (const entry of scanSource(root, { omit: () => false }, signal)) {
		await setGitMode(entry);
		await lutimes(fsPath(entry.host), now, now);
	}
}

/** Removing a large tree cannot be stopped, but need not be waited for. */
async function removeUntil(path: Buffer | string, signal: AbortSignal): Promise<void> {
	const { promise: stopped, resolve } = Promise.withResolvers<undefined>();
	const stop = () => resolve(undefined);
	signal.addEventListener('abort', stop, { once: true });
	await Promise.race([rm(path, { recursive: true, force: true }), stopped]);
	signal.removeEventListener('abort', stop);
	signal.throwIfAborted();
}

/** HOST_NO_SPACE for a source that does not fit where it is to go, at `place`; undefined when something else went wrong. */
export function sourceFull(cause: unknown, place: string | Buffer): BuildError | undefined {
	return noSpace(cause, `the source, at ${place.toString()}`);
}

function newestOf(entries: readonly SourceEntry[]): number {
	return Math.max(0, Math.floor(entries.reduce((newest, { mtime }) => Math.max(newest, mtime), 0)));
}

/** Who owns a source on this host says nothing in the image, so setuid and setgid would give rights to somebody else. */
function keptMode({ mode }: SourceEntry): number {
	return mode & 0o1777;
}

async function setGitMode({ type, mode, host }: SourceEntry): Promise<void> {
	const wanted = type === 'directory' || (mode & 0o100) !== 0 ? 0o755 : 0o644;
	if (type !== 'symlink' && mode !== wanted) await chmod(fsPath(host), wanted);
}

async function copyEntries(entries: readonly SourceEntry[], to: RawPath, signal: AbortSignal): Promise<void> {
	const queue = entries.values();
	const work = async () => {
		try {
			for (const entry of queue) {
				signal.throwIfAborted();
				await copyEntry(entry, fsPath(joinRaw(to, entry.path)), signal);
			}
		} catch (error) {
			while (queue.next().done !== true);
			throw error;
		}
	};
	const results = await Promise.allSettled(Array.from({ length: PARALLEL_COPIES }, work));
	const failed = results.find((result) => result.status === 'rejected');
	if (failed !== undefined) throw failed.reason;
}

/**
 * Copies bytes and permissions of the file `from`, which has about `size` bytes, to the new file `to`, sharing them where the file system
 * can. A large file keeps its holes, and its copy ends soon after `signal` is aborted, with its reason. Rejects with the errors of the system.
 */
export async function copyContent(
	from: string | Buffer,
	to: string | Buffer,
	size: number,
	signal: AbortSignal,
): Promise<void> {
	if (size >= LARGE_FILE) return copyLargeFile(from, to, await loadLibc(), signal);
	await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
}

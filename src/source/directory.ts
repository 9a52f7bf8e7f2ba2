import { constants } from 'node:fs';
import { chmod, copyFile, lutimes, mkdir, rm, symlink, utimes } from 'node:fs/promises';
import { BuildError, errnoOf } from '../errors.js';
import { fsPath, joinRaw, type RawPath, type RootPath } from '../root-path.js';
import type { Ignore } from './ignore.js';
import { checkLink, leaveOut, type SourceEntry, scanSource, unreadable } from './scan.js';

const PARALLEL_COPIES = 8;

/**
 * Copies what is in the directory `from`, without what `ignore` names, into the empty directory `to`: modes, mtimes, empty
 * directories and links that stay inside are kept. (S2I copies what such links point to; here they remain links.) Resolves with the
 * newest mtime of a file or link, in seconds. Throws SOURCE_INVALID for what cannot be copied faithfully.
 */
export async function copyDirectory(from: RawPath, to: RawPath, ignore: Ignore, signal: AbortSignal): Promise<number> {
	const entries: SourceEntry[] = [];
	for await (const entry of scanSource(from, leaveOut(ignore), signal)) {
		checkLink(entry);
		entries.push(entry);
	}
	const directories = entries.filter(({ type }) => type === 'directory');
	const others = entries.filter(({ type }) => type !== 'directory');
	for (const { path } of directories) await mkdir(fsPath(joinRaw(to, path)), { mode: 0o700 });
	await copyEntries(others, from, to, signal);
	for (const { path, mode, mtime } of directories.toReversed()) {
		await chmod(fsPath(joinRaw(to, path)), mode);
		await utimes(fsPath(joinRaw(to, path)), mtime, mtime);
	}
	return Math.max(0, Math.floor(others.reduce((newest, { mtime }) => Math.max(newest, mtime), 0)));
}

/**
 * Removes what `ignore` names from the git checkout `root` and gives the rest the modes that git records (0755 or 0644), which
 * the umask of this process would otherwise leak into the image.
 */
export async function tidyCheckout(root: RawPath, ignore: Ignore, signal: AbortSignal): Promise<void> {
	const ignored: RootPath[] = [];
	const isIgnored = leaveOut(ignore);
	const omit = (path: RootPath) => isIgnored(path) && ignored.push(path) > 0;
	for await (const { path, type, mode } of scanSource(root, omit, signal)) {
		const wanted = type === 'directory' || (mode & 0o100) !== 0 ? 0o755 : 0o644;
		if (type !== 'symlink' && mode !== wanted) await chmod(fsPath(joinRaw(root, path)), wanted);
	}
	for (const path of ignored) await rm(fsPath(joinRaw(root, path)), { recursive: true, force: true });
}

async function copyEntries(
	entries: readonly SourceEntry[],
	from: RawPath,
	to: RawPath,
	signal: AbortSignal,
): Promise<void> {
	const queue = entries.values();
	const work = async () => {
		try {
			for (const entry of queue) {
				signal.throwIfAborted();
				await copyEntry(entry, fsPath(joinRaw(from, entry.path)), fsPath(joinRaw(to, entry.path)));
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

async function copyEntry(entry: SourceEntry, from: string | Buffer, to: string | Buffer): Promise<void> {
	if (entry.target !== undefined) {
		await symlink(fsPath(entry.target), to);
		await lutimes(to, entry.mtime, entry.mtime);
		return;
	}
	await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL).catch((cause: unknown) => {
		throw errnoOf(cause) === 'ENOSPC' ? storeFull(cause) : unreadable(entry.path, cause);
	});
	await chmod(to, entry.mode);
	await utimes(to, entry.mtime, entry.mtime);
}

function storeFull(cause: unknown): BuildError {
	return new BuildError('HOST_NO_SPACE', 'no space is left to copy the source', {
		hint: 'Free some space, or name a larger disk with --store.',
		cause,
	});
}

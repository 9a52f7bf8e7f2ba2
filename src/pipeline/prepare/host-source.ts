import { access, constants, lstat, realpath } from 'node:fs/promises';
import { BuildError, errnoOf, isBuildError, messageOf } from '../../errors.js';
import { type InodeName, inodeName } from '../../inode-name.js';
import { resolveLinks } from '../../resolve-links.js';
import { isWithin } from '../../root-path.js';
import type { AssembleRequest } from '../request.js';

/** A file or directory of the host that exists and can be read. */
export interface FoundSource {
	/** Free of links. */
	readonly path: string;
	/** Scripts may change what is at `path` before it is shown, so whoever opens it compares. */
	readonly inode: InodeName;
	readonly type: 'file' | 'directory';
}

/** The directories of `volumes` that scripts may write to, free of links; those that do not exist are left out. */
export async function writableVolumes(volumes: AssembleRequest['volumes']): Promise<readonly string[]> {
	const writable = volumes.filter(({ readOnly }) => !readOnly);
	const found = await Promise.all(writable.map(({ source }) => realpath(source).catch(() => undefined)));
	return found.filter((path) => path !== undefined);
}

/**
 * Looks for what `option`, such as `--inject`, names. A link below one of the directories `writable` is not followed: a script of this
 * build, or of an earlier one, may have made it. Throws USAGE for one, and for what is missing, unreadable, or neither file nor directory.
 */
export async function findHostSource(
	option: string,
	source: string,
	writable: readonly string[],
): Promise<FoundSource> {
	const refuse = (link: string) => {
		if (writable.some((directory) => isWithin(link, directory))) throw linked(option, source, link);
	};
	const resolved = await resolveLinks(source, refuse).catch((error: unknown) => {
		throw notFound(option, source, error);
	});
	// What a shell passes as /dev/fd/N is an open file.
	const path = isWithin(resolved, '/proc') ? await realpath(resolved).catch(() => resolved) : resolved;
	return lookAtSource(option, path, source);
}

/** Looks at `path`, which is free of links and was asked for as `source`. Throws USAGE as {@link findHostSource} does. */
export async function lookAtSource(option: string, path: string, source: string): Promise<FoundSource> {
	try {
		const stats = await lstat(path, { bigint: true });
		const inode = inodeName(stats);
		await access(path, stats.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
		if (stats.isDirectory()) return { path, inode, type: 'directory' };
		if (stats.isFile()) return { path, inode, type: 'file' };
	} catch (error) {
		throw notFound(option, source, error);
	}
	throw new BuildError('USAGE', `${option}: ${source} is neither a file nor a directory`, {
		hint: 'Sockets and devices of the host cannot be shown to a build.',
	});
}

function linked(option: string, source: string, link: string): BuildError {
	const message = `${option}: ${source} leads through the link ${link}, below a volume that scripts may write`;
	return new BuildError('USAGE', message, {
		hint: 'A script may have made it. Name what it leads to, if that is what you mean, or mount the volume with :ro.',
	});
}

function notFound(option: string, source: string, cause: unknown): BuildError {
	if (isBuildError(cause)) return cause;
	const missing = ['ENOENT', 'ENOTDIR'].includes(errnoOf(cause) ?? '');
	const what = missing ? 'does not exist' : `cannot be read: ${messageOf(cause)}`;
	return new BuildError('USAGE', `${option}: ${source} ${what}`, {
		hint: 'Name a file or directory that you may read; relative names start at the current directory.',
		cause,
	});
}

import { access, constants, realpath, stat } from 'node:fs/promises';
import { BuildError, errnoOf, messageOf } from '../../errors.js';

/** A file or directory of the host that exists and can be read. */
export interface FoundSource {
	/** Free of links. */
	readonly path: string;
	readonly type: 'file' | 'directory';
}

/** Looks for what `option`, such as `--inject`, names. Throws USAGE when it is missing, unreadable, or neither file nor directory. */
export async function findHostSource(option: string, source: string): Promise<FoundSource> {
	try {
		const path = await realpath(source);
		const stats = await stat(path);
		await access(path, stats.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
		if (stats.isDirectory()) return { path, type: 'directory' };
		if (stats.isFile()) return { path, type: 'file' };
	} catch (error) {
		throw notFound(option, source, error);
	}
	throw new BuildError('USAGE', `${option}: ${source} is neither a file nor a directory`, {
		hint: 'Sockets and devices of the host cannot be shown to a build.',
	});
}

function notFound(option: string, source: string, cause: unknown): BuildError {
	const missing = ['ENOENT', 'ENOTDIR'].includes(errnoOf(cause) ?? '');
	const what = missing ? 'does not exist' : `cannot be read: ${messageOf(cause)}`;
	return new BuildError('USAGE', `${option}: ${source} ${what}`, {
		hint: 'Name a file or directory that you may read; relative names start at the current directory.',
		cause,
	});
}

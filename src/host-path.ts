import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { BuildError, errnoOf } from './errors.js';

/** The directory in which this process was started. Throws USAGE when it was removed or cannot be reached. */
export function workingDirectory(): string {
	try {
		return process.cwd();
	} catch (cause) {
		const what = errnoOf(cause) === 'ENOENT' ? 'was removed' : `cannot be found (${errnoOf(cause) ?? 'unknown error'})`;
		throw new BuildError('USAGE', `the working directory ${what}, so that relative paths lead nowhere`, {
			hint: 'Go to a directory that is there (cd), or write every path as an absolute one.',
			cause,
		});
	}
}

/** `path` without `.` and `..` parts, below the working directory unless it is absolute. Throws as {@link workingDirectory}. */
export function absolutePath(path: string): string {
	return isAbsolute(path) ? resolve(path) : resolve(workingDirectory(), path);
}

/** `path`, which is absolute, without links as far as it exists. */
export function realOf(path: string): string {
	for (let at = path; ; at = dirname(at)) {
		try {
			return join(realpathSync(at), path.slice(at.length));
		} catch {
			if (at === dirname(at)) return path;
		}
	}
}

/** The directory of this user alone in `directory`, where others may write. */
export function ownDirectory(directory: string): string {
	return join(directory, `s2oci-${process.geteuid?.() ?? 0}`);
}

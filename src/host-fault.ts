import { BuildError, errnoOf, messageOf } from './errors.js';

/** What a full disk, a full quota and a limit on the size of files have in common: there is no room. Each with what helps against it. */
const NO_ROOM: Readonly<Record<string, readonly [why: string, remedy: string]>> = {
	ENOSPC: ['no space is left', 'Free some space (or inodes) there'],
	EDQUOT: ['the disk quota of this user is used up', 'Remove files there, have the quota raised'],
	EFBIG: ['a file became larger than this process may write', 'Raise the limit on the size of files (ulimit -f)'],
};
const OTHER_STORE = 'name a larger disk with --store DIR or S2OCI_STORE';
const MAX_CAUSES = 5;
const FAULTS: Readonly<Record<string, readonly [code: 'HOST_STORE' | 'HOST_LIMIT', hint: string]>> = {
	EROFS: ['HOST_STORE', 'Name a directory on a file system that can be written.'],
	EIO: ['HOST_STORE', 'The disk, or the network that it is on, gives errors; the log of the kernel says more.'],
	EMFILE: ['HOST_LIMIT', 'This process may open too few files: raise the limit (ulimit -n).'],
	ENFILE: ['HOST_LIMIT', 'All processes of this host have too many files open: raise fs.file-max, or end some.'],
	ENOMEM: ['HOST_LIMIT', 'Memory ran out: give the job more.'],
	EAGAIN: ['HOST_LIMIT', 'No more processes can be started: raise the limit (ulimit -u, or pids of the job).'],
};

/**
 * HOST_NO_SPACE when `error`, or what caused it, is that of a full disk, a full quota or a limit on the size of files; undefined for any
 * other. `what` says what was being written and where, such as `the source in /var/store`; `instead` is the other way out, which
 * is another store unless it is given.
 */
export function noSpace(error: unknown, what: string, instead: string = OTHER_STORE): BuildError | undefined {
	const found = roomError(error);
	if (found === undefined) return undefined;
	const [why, remedy] = found;
	return new BuildError('HOST_NO_SPACE', `${why} for ${what}`, { hint: `${remedy}, or ${instead}.`, cause: error });
}

/**
 * What `error` means for whoever runs this, when it is a system error that says nothing about what was asked for but that this host has
 * too little of something: HOST_NO_SPACE, HOST_STORE or HOST_LIMIT. Any other error, and any BuildError, is returned as it is. `place` is where an error
 * that names no path was most likely met.
 */
export function hostFault(error: unknown, place = 'the files of this build'): unknown {
	if (error instanceof BuildError) return error;
	const full = noSpace(error, pathOf(error) ?? place);
	if (full !== undefined) return full;
	const [code, hint] = FAULTS[errnoOf(error) ?? ''] ?? [];
	return code === undefined ? error : new BuildError(code, messageOf(error), { ...(hint && { hint }), cause: error });
}

function roomError(error: unknown): readonly [string, string] | undefined {
	for (let [at, depth] = [error, 0]; at instanceof Error && depth < MAX_CAUSES; [at, depth] = [at.cause, depth + 1]) {
		const found = NO_ROOM[errnoOf(at) ?? ''];
		if (found !== undefined) return found;
	}
	return undefined;
}

function pathOf(error: unknown): string | undefined {
	if (!(error instanceof Error)) return undefined;
	const { dest, path } = error as { readonly dest?: unknown; readonly path?: unknown };
	return [dest, path].find((each): each is string => typeof each === 'string' && each !== '');
}

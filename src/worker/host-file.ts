import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { inodeName } from '../inode-name.js';
import type { HostFile } from '../protocol/host-bind.js';
import { fsPath, O_PATH, printablePath, ROOT_DIRECTORY, rawPath, rootPath } from '../root-path.js';
import { type Opener, openTree } from '../rootfs/open-tree.js';

const { O_NOFOLLOW } = constants;
/** What a path that led to a file or directory comes to when a part of it is missing, or has become a link or a file. */
const CHANGED: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'EAGAIN'];

/**
 * Opens the file or directory of the host itself, without reading it, through no link at any place of its path, and calls `use` with its
 * descriptor. Throws USAGE when it is no more what was found there: a script may have put something else in its place.
 */
export function withHostFile<T>(file: HostFile, libc: Opener, use: (fd: number) => T): T {
	const fd = open(file, libc);
	try {
		const stats = fstatSync(fd, { bigint: true });
		const isSame = file.inode === undefined ? !stats.isSymbolicLink() : file.inode === inodeName(stats);
		if (!isSame) throw changed(file);
		return use(fd);
	} finally {
		closeSync(fd);
	}
}

function open(file: HostFile, libc: Opener): number {
	const tree = openTree(ROOT_DIRECTORY, libc);
	try {
		return openSync(fsPath(tree.entry(rootPath(rawPath(file.path)))), O_PATH | O_NOFOLLOW);
	} catch (error) {
		if (CHANGED.includes(errnoOf(error))) throw changed(file, error);
		throw new BuildError('USAGE', `${printable(file)} cannot be shown to the build: ${messageOf(error)}`, {
			hint: 'The user that runs s2oci must be able to reach it.',
			cause: error,
		});
	} finally {
		tree.close();
	}
}

function changed(file: HostFile, cause?: unknown): BuildError {
	return new BuildError(
		'USAGE',
		`${printable(file)} was moved, or replaced by something else or a link, after the build had looked at it`,
		{
			hint: 'Show nothing to a build that is inside of a directory which scripts may write: name another place, or mount that directory with :ro.',
			cause,
		},
	);
}

function printable({ path }: HostFile): string {
	return printablePath(rawPath(path));
}

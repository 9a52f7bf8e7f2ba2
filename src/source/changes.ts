import { isAbsolute, join, resolve } from 'node:path';
import type { OpenedRepository } from './private-repository.js';

/**
 * What is in the working tree of a local repository but not in its commit, submodules aside; nothing when that cannot be found out. The
 * index of the repository is read and not written.
 */
export async function listChanges({ repository, gitFor, setting }: OpenedRepository): Promise<readonly string[]> {
	const { workTree, gitDirectory } = repository;
	if (workTree === undefined) return [];
	const elsewhere = setting('core.worktree');
	const place = elsewhere === undefined ? workTree : absoluteFrom(gitDirectory, elsewhere);
	const options = ['--porcelain', '--no-renames', '--untracked-files=normal', '--ignore-submodules=all'];
	const git = gitFor(place, join(gitDirectory, 'index'));
	const status = await git(workTree, ['--no-optional-locks', 'status', ...options]).catch(() => undefined);
	if (status?.ok !== true) return [];
	return status.stdout
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => line.slice(3));
}

function absoluteFrom(directory: string, path: string): string {
	return isAbsolute(path) ? path : resolve(directory, path);
}

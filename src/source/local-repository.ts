import type { Stats } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { BuildError, errnoOf } from '../errors.js';
import { redact } from '../redact.js';
import { tooLarge } from './check-sizes.js';

/** Where the parts of a repository on this host are; all paths are absolute (gitrepository-layout(5)). */
export interface LocalRepository {
	/** As the user named it. */
	readonly path: string;
	/** Has HEAD and index. */
	readonly gitDirectory: string;
	/** Has objects, refs and config: the same, but for worktrees. */
	readonly commonDirectory: string;
	/** Undefined for a bare repository. */
	readonly workTree: string | undefined;
}

const MAX_POINTER = 64 * 1024;

/**
 * The repository whose working tree or git directory is `path`: with a `.git` directory, a `.git` file (worktree, submodule,
 * --separate-git-dir), or bare. Reads no configuration and starts no program. Undefined when there is none; throws SOURCE_GIT for a
 * `.git` that leads nowhere, SOURCE_INVALID for one that is too large.
 */
export async function findRepository(path: string): Promise<LocalRepository | undefined> {
	const dotGit = join(path, '.git');
	const found = await statOf(dotGit);
	if (found === undefined) return (await isGitDirectory(path)) ? bare(path) : undefined;
	const gitDirectory = found.isDirectory() ? dotGit : await followPointer(dotGit);
	if (!(await isGitDirectory(gitDirectory))) throw broken(path, `${gitDirectory} is no git directory`);
	const commonDirectory = await commonOf(gitDirectory);
	return { path, gitDirectory, commonDirectory, workTree: path };
}

/** The contents of the file `path`; undefined when there is none. Throws SOURCE_INVALID when it is larger than `maxBytes`, SOURCE_GIT. */
export async function readSmallFile(path: string, maxBytes: number = MAX_POINTER): Promise<string | undefined> {
	const found = await statOf(path);
	if (found?.isFile() !== true) return undefined;
	if (found.size > maxBytes) throw tooLarge(dirname(path), path, maxBytes);
	return readFile(path, 'utf8');
}

/** SOURCE_GIT for a local repository that is damaged or not complete here. */
export function broken(path: string, problem: string, cause?: unknown): BuildError {
	return new BuildError('SOURCE_GIT', `the git repository ${JSON.stringify(redact(path))} is broken: ${problem}`, {
		hint: 'Check it with git fsck; in a container, all of the repository must be mounted. Or build the directory as it is with --copy.',
		cause,
	});
}

async function bare(path: string): Promise<LocalRepository> {
	return { path, gitDirectory: path, commonDirectory: await commonOf(path), workTree: undefined };
}

async function isGitDirectory(path: string): Promise<boolean> {
	const [head, own] = await Promise.all([statOf(join(path, 'HEAD')), commonOf(path)]);
	if (head === undefined) return false;
	const [objects, refs] = await Promise.all(['objects', 'refs'].map((name) => statOf(join(own, name))));
	return objects?.isDirectory() === true && refs?.isDirectory() === true;
}

async function followPointer(file: string): Promise<string> {
	const line = /^gitdir: (.+?)[\r\n]*$/s.exec((await readSmallFile(file)) ?? '');
	if (line?.[1] === undefined) throw broken(dirname(file), 'its .git file names no git directory');
	const target = absoluteFrom(await realpath(dirname(file)), line[1]);
	if ((await statOf(target)) !== undefined) return target;
	throw broken(dirname(file), `its .git file names ${JSON.stringify(redact(target))}, which is not here`);
}

async function commonOf(gitDirectory: string): Promise<string> {
	const text = await readSmallFile(join(gitDirectory, 'commondir'));
	return text === undefined ? gitDirectory : absoluteFrom(gitDirectory, text.trimEnd());
}

/** `path` as it is written in a file of git's in `directory`; links in it are not followed, so an absolute one stays as it is. */
export function absoluteFrom(directory: string, path: string): string {
	return isAbsolute(path) ? path : resolve(directory, path);
}

async function statOf(path: string): Promise<Stats | undefined> {
	try {
		return await stat(path);
	} catch (cause) {
		if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(cause) ?? '')) return undefined;
		throw new BuildError('SOURCE_GIT', `${JSON.stringify(redact(path))} cannot be read: ${errnoOf(cause) ?? ''}`, {
			hint: 'The repository belongs to another user: give this one permission to read all of it.',
			cause,
		});
	}
}

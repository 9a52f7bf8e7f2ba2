import type { Stats } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { BuildError, errnoOf } from '../errors.js';
import { redact } from '../redact.js';

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

const [KIB, MIB, GIB] = [1024, 1024 ** 2, 1024 ** 3];
/** Far above what repositories with a million files and refs have. */
const LIMITS: readonly (readonly [name: string, bytes: number])[] = [
	['HEAD', 64 * KIB],
	['config', 8 * MIB],
	['packed-refs', 256 * MIB],
	['shallow', 64 * MIB],
	['index', 2 * GIB],
	['info/exclude', 64 * MIB],
	['info/attributes', 64 * MIB],
	['info/grafts', 64 * MIB],
	['reftable/tables.list', MIB],
	['objects/info/alternates', MIB],
	['objects/info/commit-graphs/commit-graph-chain', MIB],
];
const MAX_REF = 64 * KIB;

/**
 * Throws SOURCE_INVALID for a file of a repository that git or we would read as a whole, and that is larger than any such file is: a hole of
 * 20 GB costs whoever made the source nothing, and whoever reads it 20 GB of memory.
 */
export async function checkSizes({ path, gitDirectory, commonDirectory }: LocalRepository): Promise<void> {
	for (const directory of new Set([gitDirectory, commonDirectory])) {
		for (const [name, limit] of LIMITS) await checkSize(path, join(directory, name), limit);
		await checkRefs(path, join(directory, 'refs'));
	}
}

/** SOURCE_INVALID for the file `file` of the repository `path`. */
function tooLarge(path: string, file: string, limit: number): BuildError {
	const shown = [path, file].map((each) => JSON.stringify(redact(each).slice(0, 300)));
	const most = limit < MIB ? `${limit / KIB} KiB` : `${limit / MIB} MiB`;
	const message = `the git repository ${shown[0]} cannot be read: its file ${shown[1]} is larger than ${most}`;
	return new BuildError('SOURCE_INVALID', message, {
		hint: 'Check the repository with git fsck, build a clone of it, or the directory as it is with --copy.',
	});
}

async function checkSize(path: string, file: string, limit: number): Promise<void> {
	const found = await stat(file).catch(() => undefined);
	if (found?.isFile() === true && found.size > limit) throw tooLarge(path, file, limit);
}

async function checkRefs(path: string, refs: string): Promise<void> {
	const seen = new Set<string>();
	const pending = [refs];
	for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
		const directory = await realpath(next).catch(() => undefined);
		if (directory === undefined || seen.has(directory)) continue;
		seen.add(directory);
		// What is no directory, or not ours to read, is told of by whoever reads it.
		for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
			const found = join(directory, entry.name);
			const target = entry.isSymbolicLink() ? await stat(found).catch(() => undefined) : entry;
			if (target?.isDirectory() === true) pending.push(found);
			else await checkSize(path, found, MAX_REF);
		}
	}
}

import { constants, type Stats } from 'node:fs';
import { lstat, open, readlink, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { fsPath, latin1Path, nameIn, printablePath, type RawPath, rawPath } from '../root-path.js';
import { isInside } from './context-dir.js';
import { type Git, gitFailed, nameSome } from './git.js';
import { localRemote } from './git-remote.js';
import type { LocalRepository } from './local-repository.js';
import type { OpenedRepository } from './private-repository.js';

/** A file, link or submodule of a commit. */
export interface IndexEntry {
	/** Octal, as git has it: 100644, 100755, 120000, 160000. */
	readonly mode: string;
	/** Object id of the content; of a submodule, its commit. */
	readonly id: string;
	/** Raw bytes. */
	readonly path: string;
}

/** What of a commit is checked out, and where. */
export interface Checkout {
	readonly commit: string;
	/** An empty directory. */
	readonly directory: string;
	/** Of {@link parseContextDir}: only what is in it is checked out, all when it is `''`. */
	readonly contextDir: string;
}

/**
 * Checks a commit of a local repository out as it was committed, from the objects that are there: nothing is fetched. An object that is
 * missing is made anew from an unchanged file of the working tree. `git` is for `checkout.directory`. Resolves with what the checkout
 * holds. Throws SOURCE_GIT, naming files whose content is not there.
 */
export async function checkOut(opened: OpenedRepository, git: Git, checkout: Checkout): Promise<readonly IndexEntry[]> {
	const { commit, directory, contextDir } = checkout;
	const { path } = opened.repository;
	const read = await git(directory, ['read-tree', '--reset', commit]);
	if (!read.ok) throw incomplete(path, 'all directories of its commit');
	const entries = (await listIndex(git, directory)).filter((entry) => isWanted(entry.path, contextDir));
	const sparse = contextDir === '' ? [] : await limit(opened.directory, contextDir);
	const write = () => git(directory, [...sparse, 'read-tree', '--reset', '-u', commit]);
	const first = await write();
	if (first.ok) return entries;
	const missing = await findMissing(git, directory, entries);
	if (missing.length === 0) throw gitFailed(`the checkout of ${redact(path)}`, first, localRemote(path));
	const lost = await restoreObjects(opened, git, missing);
	const names = nameSome(lost.map((entry) => Buffer.from(entry.path, 'latin1').toString('utf8')));
	if (lost.length > 0) throw incomplete(path, `the content of ${lost.length} files of its commit (${names})`);
	const second = await write();
	if (!second.ok) throw gitFailed(`the checkout of ${redact(path)}`, second, localRemote(path));
	return entries;
}

async function listIndex(git: Git, directory: string): Promise<readonly IndexEntry[]> {
	const listed = await git(directory, ['ls-files', '--stage', '-z']);
	return listed.bytes
		.toString('latin1')
		.split('\0')
		.flatMap((line) => {
			const [, mode, id, path] = /^(\d+) ([0-9a-f]+) \d\t(.*)$/s.exec(line) ?? [];
			return mode === undefined || id === undefined || path === undefined ? [] : [{ mode, id, path }];
		});
}

/** Inside the context, or a submodule that holds it. */
function isWanted(path: string, contextDir: string): boolean {
	const context = Buffer.from(contextDir, 'utf8').toString('latin1');
	return context === '' || `${path}/`.startsWith(`${context}/`) || `${context}/`.startsWith(`${path}/`);
}

/** Patterns for all of `contextDir`, and for nothing else in the directories above it (git-sparse-checkout(1), "full pattern set"). */
async function limit(directory: string, contextDir: string): Promise<readonly string[]> {
	const parts = contextDir.split('/').map((part) => part.replace(/[\\*?[\]!#\s]/g, '\\$&'));
	const lines = parts.flatMap((_part, index) => {
		const path = `/${parts.slice(0, index + 1).join('/')}`;
		return index === parts.length - 1 ? [path] : [path, `!${path}/*`];
	});
	await writeFile(join(directory, 'info/sparse-checkout'), `${lines.join('\n')}\n`);
	return ['-c', 'core.sparseCheckout=true', '-c', 'core.sparseCheckoutCone=false'];
}

async function findMissing(git: Git, cwd: string, entries: readonly IndexEntry[]): Promise<readonly IndexEntry[]> {
	const files = entries.filter(({ mode }) => mode !== '160000');
	const input = Buffer.from(files.map(({ id }) => `${id}\n`).join(''));
	const checked = await git(cwd, ['cat-file', '--batch-check=%(objectname)'], input);
	const lines = checked.stdout.split('\n');
	return files.filter((_file, index) => lines[index]?.endsWith(' missing') !== false);
}

/** Hashes the files of the working tree that the missing objects were made of; resolves with what is missing still. */
async function restoreObjects(
	opened: OpenedRepository,
	git: Git,
	missing: readonly IndexEntry[],
): Promise<readonly IndexEntry[]> {
	const { workTree } = opened.repository;
	if (workTree === undefined) return missing;
	const there: string[] = [];
	for (const { mode, path } of missing) {
		const name = Buffer.from(path, 'latin1');
		const found = await lstat(Buffer.concat([Buffer.from(`${workTree}/`), name])).catch(() => undefined);
		if (mode !== '120000' && found?.isFile() === true && !/^"|\n/.test(path)) there.push(path);
	}
	const input = Buffer.from(there.map((path) => `${path}\n`).join(''), 'latin1');
	if (there.length > 0) await opened.gitFor(workTree)(workTree, ['hash-object', '-w', '--stdin-paths'], input);
	return findMissing(git, workTree, missing);
}

function incomplete(path: string, what: string): BuildError {
	return new BuildError('SOURCE_GIT', `the repository ${JSON.stringify(redact(path))} does not hold ${what}`, {
		hint: 'If it is a partial clone, get the rest there (git sparse-checkout disable, or git fetch --refetch --no-filter), build a part that is there with --context-dir, or what lies there with --copy. Else check it with git fsck.',
	});
}

type Path = string | Buffer;

const CHUNK = 1024 * 1024;
const SUBMODULE = '160000';

/**
 * Throws `refusal` unless each of `entries`, which was checked out into `directory`, is in the working tree with the same content, not by
 * way of a link. Wherever the objects came from, nothing is built then that whoever made the source did not have.
 */
export async function checkIsThere(
	{ workTree }: LocalRepository,
	directory: string,
	entries: readonly IndexEntry[],
	refusal: BuildError,
): Promise<void> {
	if (workTree === undefined) throw refusal;
	const isReached = await withoutLinks(workTree);
	for (const { path } of entries.filter(({ mode }) => mode !== SUBMODULE)) {
		const name = latin1Path(path);
		const made = fsPath(nameIn(rawPath(directory), name));
		const found = await statOf(made);
		if (found === undefined) continue;
		const isThere = (await isReached(name)) && (await isSame(made, found, fsPath(nameIn(rawPath(workTree), name))));
		if (!isThere) throw notThere(name, refusal);
	}
}

/** Whether the directory of a file is where its name says, so that no link leads out of `root`. */
async function withoutLinks(root: string): Promise<(name: RawPath) => Promise<boolean>> {
	const real = await realpath(root);
	const known = new Map<string, Promise<boolean>>();
	const look = async (directory: string): Promise<boolean> => {
		const path = fsPath(nameIn(rawPath(root), latin1Path(directory)));
		const target = await realpath(path).catch(() => undefined);
		return target !== undefined && isInside(target, real);
	};
	return (name) => {
		const directory = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '.';
		const found = known.get(directory) ?? look(directory);
		known.set(directory, found);
		return found;
	};
}

async function isSame(made: Path, expected: Stats, there: Path): Promise<boolean> {
	const found = await statOf(there);
	if (found === undefined) return false;
	if (expected.isSymbolicLink()) {
		if (!found.isSymbolicLink()) return false;
		const [one, other] = await Promise.all([made, there].map((path) => readlink(path, 'buffer')));
		return one !== undefined && other?.equals(one) === true;
	}
	return (
		expected.isFile() &&
		found.isFile() &&
		found.size === expected.size &&
		(await haveSameBytes(made, there).catch(() => false))
	);
}

async function haveSameBytes(one: Path, other: Path): Promise<boolean> {
	await using first = await open(one);
	await using second = await open(other, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
	const [mine, its] = [Buffer.alloc(CHUNK), Buffer.alloc(CHUNK)];
	for (;;) {
		const [{ bytesRead }, read] = await Promise.all([first.read(mine), second.read(its)]);
		if (bytesRead !== read.bytesRead || !mine.subarray(0, bytesRead).equals(its.subarray(0, bytesRead))) return false;
		if (bytesRead === 0) return true;
	}
}

async function statOf(path: Path): Promise<Stats | undefined> {
	return lstat(path).catch(() => undefined);
}

function notThere(name: RawPath, { code, message, hint, cause }: BuildError): BuildError {
	const file = JSON.stringify(printablePath(name).slice(0, 200));
	return new BuildError(code, `${message}, and ${file} of its commit is not in the source as it was committed`, {
		...(hint !== undefined && { hint }),
		cause,
	});
}

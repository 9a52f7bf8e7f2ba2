import type { Dirent } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { BuildError, errnoOf } from '../errors.js';
import { redact } from '../redact.js';
import { isInside } from './context-dir.js';
import { type LocalRepository, readSmallFile } from './local-repository.js';

/** What decides whether a repository is confined. */
export interface Confinement {
	/** Directories that whoever made the source may lead to: the source itself, for a submodule those of its superproject. */
	readonly roots: readonly string[];
	/** The user's own; GIT_ALTERNATE_OBJECT_DIRECTORIES names what else objects may be borrowed from (git(1)). */
	readonly env: Readonly<Record<string, string | undefined>>;
	/** The value of `core.worktree`, unread until it is asked for. */
	readonly readWorkTree: () => Promise<string | undefined>;
}

/** What {@link confineRepository} found. */
export interface Confined {
	/** The directories that the repository and its submodules may lead to. */
	readonly roots: readonly string[];
	/** SOURCE_INVALID when objects may come from elsewhere: only what is in the source too may be taken from them. */
	readonly leadsOut: BuildError | undefined;
}

/**
 * Refuses a repository that would have us read what lies outside of `roots`: whoever made the source can write a `.git` file or link, a
 * `commondir`, `objects/info/alternates` and links in the git directory that lead to any repository or file of the user who runs us. A git
 * directory elsewhere counts when it names this working tree itself: a worktree by its `gitdir` file (gitrepository-layout(5)), a
 * submodule and any other by `core.worktree`. Another git directory and alternates outside, as of clones with `--separate-git-dir` and
 * `--reference`, make `leadsOut`. Throws SOURCE_INVALID for all else.
 */
export async function confineRepository(repository: LocalRepository, confinement: Confinement): Promise<Confined> {
	const { path } = repository;
	const gitDirectory = await realpath(repository.gitDirectory);
	const commonDirectory = await realpath(repository.commonDirectory);
	const own = await Promise.all([path, ...confinement.roots].map((root) => realpath(root)));
	const isOwn = (place: string) => own.some((root) => isInside(place, root));
	const isWorktree = await isWorktreeOf(gitDirectory, commonDirectory, path);
	const isNamed = isOwn(gitDirectory) || isWorktree || (await namesWorkTree(repository, gitDirectory, confinement));
	const roots = isOwn(gitDirectory) ? own : [...own, gitDirectory];
	if (!isWorktree && !roots.some((root) => isInside(commonDirectory, root)))
		throw outside(path, 'its commondir', commonDirectory, CLONE);
	const all = [...roots, ...(isWorktree ? [commonDirectory] : [])];
	const allowed = await readAllowed(confinement.env);
	await checkTree({ path, roots: all, seen: new Set() }, [gitDirectory, commonDirectory]);
	const lender = await findLender({ path, roots: all, seen: new Set(), allowed }, join(commonDirectory, 'objects'));
	if (!isNamed)
		return { roots: all, leadsOut: outside(path, 'its git directory', gitDirectory, backPointer(gitDirectory, path)) };
	if (lender === undefined) return { roots: all, leadsOut: undefined };
	return { roots: all, leadsOut: outside(path, 'objects/info/alternates', lender, alternatesHint(lender)) };
}

const CLONE = 'Build a clone of it instead, or the directory as it is with --copy.';
const MAX_ALTERNATES = 1 << 20;
/** Never read; links to hooks are common. */
const UNREAD: readonly string[] = ['hooks'];

interface Walk {
	readonly path: string;
	readonly roots: readonly string[];
	readonly seen: Set<string>;
}

/** Both ways: the administrative directory is among those of the repository, and names this `.git` file. */
async function isWorktreeOf(gitDirectory: string, commonDirectory: string, path: string): Promise<boolean> {
	if (gitDirectory === commonDirectory || dirname(gitDirectory) !== join(commonDirectory, 'worktrees')) return false;
	const named = (await readSmallFile(join(gitDirectory, 'gitdir')))?.trimEnd();
	if (named === undefined) return false;
	const dotGit = resolve(gitDirectory, named);
	return basename(dotGit) === '.git' && (await isSame(dirname(dotGit), path));
}

async function namesWorkTree(
	{ path, workTree }: LocalRepository,
	gitDirectory: string,
	{ readWorkTree }: Confinement,
): Promise<boolean> {
	if (workTree === undefined) return false;
	const named = await readWorkTree();
	return named !== undefined && isSame(resolve(gitDirectory, named), path);
}

async function isSame(one: string, other: string): Promise<boolean> {
	const [first, second] = await Promise.all([one, other].map(realOf));
	return first !== undefined && first === second;
}

async function realOf(path: string): Promise<string | undefined> {
	try {
		return await realpath(path);
	} catch (error) {
		if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'].includes(errnoOf(error) ?? '')) return undefined;
		throw error;
	}
}

/** Looks at `directories` and at where the links in them lead. */
async function checkTree(walk: Walk, directories: readonly string[]): Promise<void> {
	const pending = [...directories];
	for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
		if (walk.seen.has(directory)) continue;
		walk.seen.add(directory);
		for (const entry of await entriesOf(directory)) {
			const found = join(directory, entry.name);
			if (entry.isDirectory() && !UNREAD.includes(entry.name)) pending.push(found);
			else if (entry.isSymbolicLink()) pending.push(...(await followLink(found, walk)));
			else if (entry.isFIFO()) throw outside(walk.path, 'a pipe', found, CLONE);
		}
	}
}

/** Nobody can read through a link that leads nowhere. */
async function followLink(link: string, { path, roots }: Walk): Promise<readonly string[]> {
	if (UNREAD.includes(basename(link))) return [];
	const target = await realOf(link);
	if (target === undefined) return [];
	if (roots.some((root) => isInside(target, root))) return [target];
	throw outside(path, `the link ${link}`, target, CLONE);
}

/** None for what is no directory, or not ours to read. */
async function entriesOf(directory: string): Promise<readonly Dirent[]> {
	try {
		return await readdir(directory, { withFileTypes: true });
	} catch (error) {
		if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return [];
		throw error;
	}
}

/** The first directory outside that objects are borrowed from. Alternates have alternates (gitrepository-layout(5)). */
async function findLender(
	walk: Walk & { readonly allowed: readonly string[] },
	objects: string,
): Promise<string | undefined> {
	if (walk.seen.has(objects)) return undefined;
	walk.seen.add(objects);
	for (const named of await listAlternates(walk, objects)) {
		const target = await realOf(resolve(objects, named));
		if (target === undefined) continue;
		const isOwn = walk.roots.some((root) => isInside(target, root));
		if (!isOwn && !walk.allowed.some((each) => isInside(target, each))) return target;
		if (isOwn) await checkTree({ ...walk, seen: new Set() }, [target]);
		const further = await findLender(walk, target);
		if (further !== undefined) return further;
	}
	return undefined;
}

async function listAlternates({ path }: Walk, objects: string): Promise<readonly string[]> {
	const file = join(objects, 'info/alternates');
	const text = (await readSmallFile(file, MAX_ALTERNATES)) ?? '';
	const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
	const quoted = lines.find((line) => line.startsWith('"'));
	if (quoted !== undefined) throw outside(path, 'objects/info/alternates', quoted, alternatesHint(quoted));
	return lines;
}

async function readAllowed(env: Confinement['env']): Promise<readonly string[]> {
	const named = (env['GIT_ALTERNATE_OBJECT_DIRECTORIES'] ?? '').split(':').filter(isAbsolute);
	return (await Promise.all(named.map(realOf))).filter((each) => each !== undefined);
}

function outside(path: string, what: string, target: string, hint: string): BuildError {
	const message = `the git repository ${quote(path)} is not all in the source: ${redact(what)} leads to ${quote(target)}`;
	return new BuildError('SOURCE_INVALID', message, { hint });
}

function backPointer(gitDirectory: string, path: string): string {
	return `If both are yours, let it name this working tree: git --git-dir=${quote(gitDirectory)} config core.worktree ${quote(path)}. Else build the directory as it is with --copy.`;
}

function alternatesHint(objects: string): string {
	return `If both are yours, take the objects over (git repack -a -d && rm .git/objects/info/alternates), or allow it: GIT_ALTERNATE_OBJECT_DIRECTORIES=${quote(objects)}.`;
}

function quote(text: string): string {
	return JSON.stringify(redact(text).slice(0, 300));
}

import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, isBuildError } from '../errors.js';
import { redact } from '../redact.js';
import { listChanges } from './changes.js';
import { type Checkout, checkIsThere, checkOut } from './checkout.js';
import {
	type CloneOptions,
	type Commit,
	cloneMetadata,
	cloneSubmodule,
	type GitSource,
	noCommits,
	readCommit,
} from './clone.js';
import { resolveContextDir } from './context-dir.js';
import { nameSome } from './git.js';
import { splitRemote } from './git-remote.js';
import { listPointers, pointersBuilt, withLfs } from './lfs.js';
import { broken, findRepository, type LocalRepository } from './local-repository.js';
import { type OpenedRepository, openRepository } from './private-repository.js';
import { findSubmodule, listSubmodules, type Submodule } from './submodules.js';

/** What {@link checkOutLocal} is told besides the source. */
export interface LocalOptions extends CloneOptions {
	/** An empty directory for git's own files, to be removed afterwards. */
	readonly scratch: string;
	/** Of {@link parseContextDir}. */
	readonly contextDir: string;
}

/** What the superproject and its submodules have in common. */
interface Work {
	readonly options: LocalOptions;
	readonly open: (repository: LocalRepository, outer: readonly string[]) => Promise<OpenedRepository>;
	/** Paths of what is not built, and of Git LFS pointers that are, from the root of the source. */
	readonly changes: string[];
	readonly pointers: string[];
	readonly signal: AbortSignal;
}

const MAX_DEPTH = 32;

/**
 * Checks a local repository out as it was committed, with the submodules that are checked out there, of all of which neither
 * configuration nor hooks are in effect (decision 027). Only submodules whose commit is not there are fetched. A notice says what is not
 * committed and therefore not built. Resolves with what labels and the result say of the commit. Throws SOURCE_GIT.
 */
export async function checkOutLocal(source: GitSource, options: LocalOptions, signal: AbortSignal): Promise<Commit> {
	const { checkout, scratch, contextDir, env, emitNotice } = options;
	const repository = await findRepository(source.url);
	if (repository === undefined) throw broken(source.url, 'it is no git directory');
	let opened = 0;
	const open: Work['open'] = (found, outer) =>
		openRepository(found, join(scratch, String(opened++)), { env, outer }, signal);
	const work: Work = { options, open, changes: [], pointers: [], signal };
	const main = await open(repository, []);
	if (main.leadsOut !== undefined && options.keepMetadata) throw main.leadsOut;
	const id = await findCommit(main, source);
	const commit = await readCommit(main.gitFor('/'), source.url, { cwd: '/', id, ref: source.ref });
	await mkdir(checkout);
	work.changes.push(...(await listChanges(main, emitNotice)));
	await fill(
		main,
		{ commit: id, directory: checkout, contextDir },
		{ work, prefix: '', depth: 0, leadsOut: main.leadsOut },
	);
	if (options.keepMetadata) await addMetadata(main, { ...source, ...(source.ref !== undefined && { ref: id }) }, work);
	if (work.changes.length > 0) {
		const names = nameSome(work.changes);
		emitNotice(`uncommitted changes are not built (${names}); commit them, or build them too with --copy`);
	}
	if (work.pointers.length > 0) {
		const { isInstalled } = await withLfs(main.gitFor('/'), env);
		emitNotice(pointersBuilt(work.pointers, isInstalled));
	}
	return commit;
}

/** A branch of the remote will do where a runner has made no branch of its own. */
async function findCommit({ gitFor, repository }: OpenedRepository, { url, ref }: GitSource): Promise<string> {
	const git = gitFor('/');
	const names = ref === undefined ? ['HEAD'] : [ref, `refs/remotes/origin/${ref}`];
	for (const name of names) {
		const found = await git('/', ['rev-parse', '--verify', '--quiet', `${name}^{commit}`]);
		if (found.ok) return found.stdout.trim();
	}
	if (ref === undefined) {
		const named = await git('/', ['rev-parse', '--verify', '--quiet', 'HEAD']);
		throw named.ok ? broken(url, `its commit ${named.stdout.trim()} is not in it`) : noCommits(url);
	}
	const isShallow = existsSync(join(repository.commonDirectory, 'shallow'));
	const more = isShallow ? ' It is a shallow clone, which has only a part: git fetch --unshallow --tags.' : '';
	throw new BuildError('SOURCE_GIT', `the repository ${redact(url)} has no ref ${JSON.stringify(redact(ref))}`, {
		hint: `Check --ref: a branch, a tag or a commit of this repository.${more}`,
	});
}

/** Where in the superproject a repository is. */
interface Position {
	readonly work: Work;
	/** Empty, or ends with a slash. */
	readonly prefix: string;
	readonly depth: number;
	/** Of this repository, or of one above it. */
	readonly leadsOut: OpenedRepository['leadsOut'];
}

async function fill(opened: OpenedRepository, target: Checkout, position: Position): Promise<void> {
	const { work, prefix, leadsOut } = position;
	const plain = opened.gitFor(target.directory);
	const { git } = await withLfs(plain, work.options.env);
	const entries = await checkOut(opened, git, target);
	if (leadsOut !== undefined) await checkIsThere(opened.repository, target.directory, entries, leadsOut);
	work.pointers.push(...(await listPointers(plain, target.directory)).map((path) => `${prefix}${path}`));
	if (work.options.ignoreSubmodules) return;
	for (const submodule of await listSubmodules(opened, plain, target.commit, entries)) {
		await fillSubmodule(submodule, target, opened, position);
	}
}

async function fillSubmodule(
	submodule: Submodule,
	target: Checkout,
	{ roots }: OpenedRepository,
	{ work, prefix, depth, leadsOut }: Position,
): Promise<void> {
	const { emitNotice } = work.options;
	const name = `${prefix}${submodule.path}`;
	const directory = await resolveContextDir(target.directory, submodule.path);
	const contextDir = `${target.contextDir}/`.startsWith(`${submodule.path}/`)
		? target.contextDir.slice(submodule.path.length + 1)
		: '';
	if (submodule.isLeftEmpty) {
		emitNotice(`the submodule ${redact(name)} is left empty: its update is none`);
		return;
	}
	const found =
		depth < MAX_DEPTH ? await findSubmodule(submodule, (repository) => work.open(repository, roots)) : undefined;
	if (found === undefined) return fetchSubmodule(submodule, name, directory, work);
	await noteChanges(found, submodule, name, work);
	const inner = { commit: submodule.commit, directory, contextDir };
	await fill(found, inner, { work, prefix: `${name}/`, depth: depth + 1, leadsOut: leadsOut ?? found.leadsOut });
}

/** Only what is checked out can have changes. */
async function noteChanges(opened: OpenedRepository, { commit }: Submodule, name: string, work: Work): Promise<void> {
	if (opened.repository.workTree === undefined) return;
	const head = await opened.gitFor('/')('/', ['rev-parse', '--verify', '--quiet', 'HEAD']);
	if (head.ok && head.stdout.trim() !== commit) work.changes.push(`${name} at ${head.stdout.slice(0, 12)}`);
	work.changes.push(...(await listChanges(opened, work.options.emitNotice)).map((path) => `${name}/${path}`));
}

async function fetchSubmodule(
	{ url, commit }: Submodule,
	name: string,
	directory: string,
	{ options, signal }: Work,
): Promise<void> {
	const { env, emitNotice } = options;
	if (url === undefined) {
		emitNotice(`the submodule ${redact(name)} is left empty: it is not checked out, and .gitmodules has no URL for it`);
		return;
	}
	try {
		await cloneSubmodule(url, commit, { checkout: directory, ignoreSubmodules: false, env, emitNotice }, signal);
	} catch (error) {
		if (!isBuildError(error, 'SOURCE_GIT', 'SOURCE_INVALID')) throw error;
		const message = `the submodule ${redact(name)} is not checked out at ${commit.slice(0, 12)}, and could not be fetched from ${whereOf(url)}: ${error.message}`;
		throw new BuildError('SOURCE_GIT', message, {
			hint: `${error.hint ?? ''} Or check it out first (git submodule update --init --recursive), or leave submodules out with --ignore-submodules.`,
			cause: error,
		});
	}
}

function whereOf(url: string): string {
	try {
		return redact(splitRemote(url).location);
	} catch {
		return redact(url).slice(0, 200);
	}
}

/** `.git` for those who build it too, as a clone of this commit alone would have it. */
async function addMetadata({ directory }: OpenedRepository, { url, ref }: GitSource, work: Work): Promise<void> {
	const { scratch, checkout, env } = work.options;
	const copy = join(scratch, 'metadata');
	const from = { gitDirectory: directory, location: url, ...(ref !== undefined && { ref }) };
	await cloneMetadata(from, { checkout: copy, env }, work.signal);
	await rename(join(copy, '.git'), join(checkout, '.git'));
}

import { join, posix } from 'node:path';
import { isBuildError } from '../errors.js';
import type { IndexEntry } from './checkout.js';
import type { Git } from './git.js';
import { findRepository, type LocalRepository } from './local-repository.js';
import type { OpenedRepository } from './private-repository.js';

/** A submodule of a commit, as its `.gitmodules` and the configuration of the checkout have it. */
export interface Submodule {
	/** Relative to the superproject. */
	readonly path: string;
	/** The commit that the superproject names. */
	readonly commit: string;
	/** Absolute; undefined when nothing says where it comes from. May hold credentials. */
	readonly url: string | undefined;
	/** `update = none`: git leaves it empty, whoever asks. */
	readonly isLeftEmpty: boolean;
	/** Git directories of the checkout that may have its commit, the likeliest first. */
	readonly places: readonly string[];
}

/**
 * The submodules among `entries`, those without an entry in `.gitmodules` included. URLs are what `git submodule init` made of them in the
 * checkout, else those of `.gitmodules`; relative ones are resolved against the URL of the checkout's remote, as git does
 * (gitsubmodules(7)).
 */
export async function listSubmodules(
	opened: OpenedRepository,
	git: Git,
	commit: string,
	entries: readonly IndexEntry[],
): Promise<readonly Submodule[]> {
	const links = entries.filter(({ mode }) => mode === '160000');
	if (links.length === 0) return [];
	const declared = await readDeclared(git, commit);
	const base = await remoteUrl(opened, git);
	return links.map(({ path: raw, id }) => {
		const path = Buffer.from(raw, 'latin1').toString('utf8');
		const name = [...declared].find(([, values]) => values.get('path')?.replace(/\/+$/, '') === path)?.[0];
		const value = (key: string) =>
			name === undefined ? undefined : (opened.setting(`submodule.${name}.${key}`) ?? declared.get(name)?.get(key));
		const url = value('url');
		return {
			path,
			commit: id,
			url: url === undefined ? undefined : resolveSubmoduleUrl(base, url),
			isLeftEmpty: value('update') === 'none',
			places: placesOf(opened.repository, path, name),
		};
	});
}

/** The repository, opened by `open`, in the first place of the checkout that has the commit of `submodule`. */
export async function findSubmodule(
	submodule: Submodule,
	open: (repository: LocalRepository) => Promise<OpenedRepository>,
): Promise<OpenedRepository | undefined> {
	for (const place of submodule.places) {
		const opened = await tryOpen(place, open);
		if (opened === undefined) continue;
		const found = await opened.gitFor('/')('/', ['cat-file', '-e', `${submodule.commit}^{commit}`]);
		if (found.ok) return opened;
	}
	return undefined;
}

/** A `.git` file that leads to where the checkout once was is no reason not to look further. */
async function tryOpen(
	place: string,
	open: (repository: LocalRepository) => Promise<OpenedRepository>,
): Promise<OpenedRepository | undefined> {
	try {
		const repository = await findRepository(place);
		return repository === undefined ? undefined : await open(repository);
	} catch (error) {
		if (isBuildError(error, 'SOURCE_GIT')) return undefined;
		throw error;
	}
}

/** What stands in `.gitmodules` of the commit, by the name of the submodule. */
async function readDeclared(git: Git, commit: string): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
	const listed = await git('/', ['config', '--blob', `${commit}:.gitmodules`, '--null', '--list']);
	const declared = new Map<string, Map<string, string>>();
	for (const entry of listed.ok ? listed.stdout.split('\0') : []) {
		const [, name, key, value] = /^submodule\.(.+)\.([^.\n]+)\n(.*)$/s.exec(entry) ?? [];
		if (name === undefined || key === undefined || value === undefined) continue;
		const values = declared.get(name) ?? new Map<string, string>();
		declared.set(name, values.set(key, value));
	}
	return declared;
}

/** The remote of the branch that is checked out, else origin, else the only one; without any, the repository stands for itself. */
async function remoteUrl({ repository, setting, remotes }: OpenedRepository, git: Git): Promise<string> {
	const branch = (await git('/', ['symbolic-ref', '--quiet', '--short', 'HEAD'])).stdout.trim();
	const only = remotes.length === 1 ? remotes[0] : undefined;
	const candidates = [setting(`branch.${branch}.remote`), 'origin', only];
	const urls = candidates.map((name) => (name === undefined ? undefined : setting(`remote.${name}.url`)));
	return urls.find((url) => url !== undefined) ?? repository.path;
}

/** The working tree comes first, since its repository is the one that was checked out; a name must not lead out of `modules`. */
function placesOf(repository: LocalRepository, path: string, name: string | undefined): readonly string[] {
	const { workTree, gitDirectory, commonDirectory } = repository;
	const own = workTree === undefined ? [] : [join(workTree, path)];
	const isSafe = name !== undefined && !name.split('/').includes('..') && !posix.isAbsolute(name);
	const kept = isSafe ? [gitDirectory, commonDirectory].map((directory) => join(directory, 'modules', name)) : [];
	return [...own, ...new Set(kept)];
}

/**
 * The URL of a submodule, `./` and `../` resolved against `base` as git does: `base` is the URL or path of the superproject's remote,
 * of which each `../` takes the last part away, at a `/` or else at the `:` of `host:path` (git-submodule(1), "add"). Undefined when
 * there is nothing left to take away. Any other `url` is returned as it is.
 */
export function resolveSubmoduleUrl(base: string, url: string): string | undefined {
	if (!/^\.\.?\//.test(url)) return url;
	let remote = base.replace(/\/$/, '');
	let rest = url;
	let separator = '/';
	for (;;) {
		if (rest.startsWith('./')) rest = rest.slice(2);
		else if (rest.startsWith('../')) {
			rest = rest.slice(3);
			const at = Math.max(remote.lastIndexOf('/'), remote.includes('/') ? -1 : remote.lastIndexOf(':'));
			if (at === -1) return undefined;
			separator = remote[at] ?? '/';
			remote = remote.slice(0, at);
		} else return `${remote}${separator}${rest}`.replace(/\/$/, '');
	}
}

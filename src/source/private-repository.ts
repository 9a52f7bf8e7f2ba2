import { lstat, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makePath } from '../make-path.js';
import { type Confined, confineRepository } from './confine-repository.js';
import { type Environment, type Git, openGit } from './git.js';
import { localRemote } from './git-remote.js';
import { broken, checkSizes, type LocalRepository, readSmallFile } from './local-repository.js';

/** A local repository as s2oci reads it: through a git directory of its own, which borrows the objects and refs. */
export interface OpenedRepository {
	readonly repository: LocalRepository;
	/** The git directory that was made; it is no one else's. */
	readonly directory: string;
	/** Git for the private directory and the files in `workTree`, with an index of its own unless `index` names another. `stop` ends it, too. */
	readonly gitFor: (workTree: string, index?: string, stop?: AbortSignal) => Git;
	/** The first value of a setting of the repository, as data. Names are as git lists them, section and variable in lower case. */
	readonly setting: (name: string) => string | undefined;
	/** The names of its remotes. */
	readonly remotes: readonly string[];
	/** Of {@link confineRepository}. */
	readonly roots: Confined['roots'];
	readonly leadsOut: Confined['leadsOut'];
}

const MAX_COPY = 64 * 1024 * 1024;

/**
 * Opens `repository` through the new git directory `directory`. Neither its configuration nor its hooks are in effect, so that it can
 * neither start a program nor have missing objects fetched, and whom it belongs to does not matter (decision 027). Only its `objects`,
 * refs, HEAD, shallow boundary and excludes are used, its configuration only as text. It may not lead out of itself and `outer`, as
 * {@link confineRepository} has it. Throws SOURCE_GIT and SOURCE_INVALID.
 */
export async function openRepository(
	repository: LocalRepository,
	directory: string,
	{ env, outer }: { readonly env: Environment; readonly outer: readonly string[] },
	signal: AbortSignal,
): Promise<OpenedRepository> {
	await checkSizes(repository);
	const read = () => readSettings(repository, env, signal);
	const readWorkTree = async () => (await read()).find(([key]) => key === 'core.worktree')?.[1];
	const { roots, leadsOut } = await confineRepository(repository, { roots: outer, env, readWorkTree });
	const values = await read();
	const setting = (name: string) => values.find(([key]) => key === name)?.[1];
	makePath(join(directory, 'objects/info'), 0o700);
	await mkdir(join(directory, 'info'));
	await borrow(repository, directory);
	const extensions = ['objectformat', 'refstorage'].flatMap((name) => {
		const value = setting(`extensions.${name}`);
		return value !== undefined && /^[a-z0-9]+$/.test(value) ? [`\t${name} = ${value}`] : [];
	});
	await writeFile(join(directory, 'config'), `${[...SETTINGS, '[extensions]', ...extensions].join('\n')}\n`);
	const gitFor = (workTree: string, index?: string, stop?: AbortSignal) =>
		openGit(LOCAL, env, stop === undefined ? signal : AbortSignal.any([signal, stop]), {
			GIT_DIR: directory,
			GIT_WORK_TREE: workTree,
			GIT_NO_LAZY_FETCH: '1',
			// The working tree of the source comes with its index, and git reads each .gitignore there as a whole.
			...(index !== undefined && { GIT_INDEX_FILE: index, GIT_ALLOC_LIMIT: ALLOC_LIMIT }),
		});
	const remotes = values.flatMap(([key]) => /^remote\.(.+)\.url$/s.exec(key)?.[1] ?? []);
	return { repository, directory, gitFor, setting, remotes: [...new Set(remotes)], roots, leadsOut };
}

const LOCAL = localRemote('');
const ALLOC_LIMIT = '1g';
const SETTINGS = [
	'[core]',
	'\trepositoryformatversion = 1',
	'\tbare = false',
	'\tlogAllRefUpdates = false',
	'[gc]',
	'\tauto = 0',
	'[uploadpack]',
	'\tallowAnySHA1InWant = true',
];

async function borrow({ gitDirectory, commonDirectory }: LocalRepository, directory: string): Promise<void> {
	const objects = resolve(commonDirectory, 'objects');
	// A line of the alternates file cannot hold a line break, and git-lfs does not know relative ones.
	const isPlain = !objects.includes('\n');
	if (!isPlain) await symlink(objects, join(directory, 'borrowed'));
	await writeFile(join(directory, 'objects/info/alternates'), `${isPlain ? objects : '../borrowed'}\n`);
	const head = await readSmallFile(join(gitDirectory, 'HEAD'));
	if (head === undefined) throw broken(gitDirectory, 'it has no HEAD');
	await writeFile(join(directory, 'HEAD'), head);
	for (const name of ['refs', 'packed-refs', 'reftable'])
		await link(join(commonDirectory, name), join(directory, name));
	for (const name of ['shallow', 'info/exclude']) {
		const text = await readSmallFile(join(commonDirectory, name), MAX_COPY);
		if (text !== undefined) await writeFile(join(directory, name), text);
	}
}

async function link(target: string, path: string): Promise<void> {
	if ((await lstat(target).catch(() => undefined)) !== undefined) await symlink(target, path);
}

/** Includes are not followed: they name files of whoever made the configuration. */
async function readSettings(
	{ commonDirectory, path }: LocalRepository,
	env: Environment,
	signal: AbortSignal,
): Promise<readonly (readonly [string, string])[]> {
	const file = join(commonDirectory, 'config');
	if ((await lstat(file).catch(() => undefined)) === undefined) return [];
	const git = openGit(LOCAL, env, signal);
	const listed = await git('/', ['config', '--file', file, '--no-includes', '--null', '--list']);
	if (!listed.ok) throw broken(path, 'its configuration cannot be read');
	return listed.stdout.split('\0').flatMap((entry) => {
		const at = entry.indexOf('\n');
		return at === -1 ? [] : [[entry.slice(0, at), entry.slice(at + 1)] as const];
	});
}

import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { type Git, type GitResult, gitFailed, nameSome, openGit } from './git.js';
import { listPointers, withLfs } from './lfs.js';
import { type Remote, splitRemote } from './remote.js';
import type { Source, SourceInfo } from './source.js';

/** Source of type git. */
export type GitSource = Extract<Source, { readonly type: 'git' }>;

/** What a clone is told besides the source. */
export interface CloneOptions {
	/** Directory to make; its parent must exist. */
	readonly checkout: string;
	readonly ignoreSubmodules: boolean;
	/** `.git` will be built: it is cleared of what tells where it came from and when. */
	readonly keepMetadata: boolean;
	readonly env: Environment;
	/** Takes one sentence for the user. */
	readonly emitNotice: (message: string) => void;
}

/** What a commit says of itself. */
export type Commit = Omit<SourceInfo, 'ignoredScripts'>;

type Environment = Readonly<Record<string, string | undefined>>;

/** What a remote says that has the commit but does not hand it out alone, or knows the ref by another name. */
const NEEDS_HISTORY =
	/couldn't find remote ref|not our ref|unadvertised object|does not allow request|invalid refspec|dumb http|does not support shallow|did not contain/i;
const PRIVATE_METADATA = ['FETCH_HEAD', 'ORIG_HEAD', 'logs', 'hooks'];

/**
 * Checks `source` out with its submodules, the contents of Git LFS files when git-lfs is there, and as little history as the remote
 * allows. Resolves with what labels and the result say of the commit. Throws SOURCE_GIT.
 */
export async function cloneRepository(source: GitSource, options: CloneOptions, signal: AbortSignal): Promise<Commit> {
	const { checkout, env } = options;
	const remote = source.local ? localRemote(source.url) : splitRemote(source.url);
	const plainGit = openGit(remote, env, signal);
	const lfs = await withLfs(plainGit, env);
	const git = lfs.git;
	await mkdir(checkout);
	await (source.ref === undefined ? cloneHead(git, remote, checkout) : checkoutRef(git, remote, checkout, source.ref));
	if (!options.ignoreSubmodules && existsSync(join(checkout, '.gitmodules'))) {
		await updateSubmodules(git, remote, checkout);
	}
	const pointers = await listPointers(plainGit, checkout);
	if (pointers !== undefined) {
		const why = lfs.isInstalled ? 'git-lfs is told to skip them' : 'install git-lfs to build what they stand for';
		options.emitNotice(`Git LFS pointers are built instead of files (${pointers}); ${why}`);
	}
	const commit = await readCommit(plainGit, remote, checkout, source.ref);
	if (options.keepMetadata) await clearMetadata(plainGit, remote, checkout);
	return commit;
}

/** What is in the working tree of the local repository `path` but not in its commit; undefined when there is nothing. */
export async function describeChanges(
	path: string,
	env: Environment,
	signal: AbortSignal,
): Promise<string | undefined> {
	if (!existsSync(join(path, '.git'))) return undefined;
	const git = openGit(localRemote(path), env, signal);
	const status = await git(path, ['--no-optional-locks', 'status', '--porcelain', '--untracked-files=normal']);
	const changes = status.stdout.split('\n').filter((line) => line !== '');
	if (!status.ok || changes.length === 0) return undefined;
	return nameSome(changes.map((line) => line.slice(3)));
}

function localRemote(path: string): Remote {
	return { url: path, location: path, origin: '', username: undefined, password: undefined };
}

/** `--no-local`: hard links into a repository, and what its objects directory may link to, are not for us (CVE-2022-39253). */
async function cloneHead(git: Git, remote: Remote, checkout: string): Promise<void> {
	const clone = (depth: readonly string[]) =>
		git(checkout, ['clone', '--quiet', '--no-local', ...depth, '--', remote.url, '.']);
	const shallow = await clone(['--depth', '1']);
	if (shallow.ok) return;
	expectOk(NEEDS_HISTORY.test(shallow.stderr) ? await clone([]) : shallow, `git clone of ${remote.location}`, remote);
}

async function checkoutRef(git: Git, remote: Remote, checkout: string, ref: string): Promise<void> {
	const what = `git fetch of ${redact(ref)} from ${remote.location}`;
	expectOk(await git(checkout, ['init', '--quiet', '.']), 'git init', remote);
	expectOk(await git(checkout, ['remote', 'add', '--', 'origin', remote.url]), 'git remote add', remote);
	const fetched = await git(checkout, ['fetch', '--quiet', '--depth', '1', '--no-tags', 'origin', ref]);
	if (!fetched.ok) {
		if (!NEEDS_HISTORY.test(fetched.stderr)) throw gitFailed(what, fetched, remote);
		expectOk(await git(checkout, ['fetch', '--quiet', '--tags', 'origin']), what, remote);
	}
	const commit = fetched.ok ? 'FETCH_HEAD' : ref;
	expectOk(await git(checkout, ['checkout', '--quiet', commit, '--']), `git checkout of ${redact(ref)}`, remote);
}

async function updateSubmodules(git: Git, remote: Remote, checkout: string): Promise<void> {
	const update = (depth: readonly string[]) =>
		git(checkout, ['submodule', '--quiet', 'update', '--init', '--recursive', ...depth]);
	const shallow = await update(['--depth', '1']);
	if (shallow.ok) return;
	const result = NEEDS_HISTORY.test(shallow.stderr) ? await update([]) : shallow;
	expectOk(result, `the submodules of ${remote.location}: git submodule update`, remote);
}

/** A URL may hold a token in its query, and git writes it to several places. */
async function clearMetadata(git: Git, remote: Remote, checkout: string): Promise<void> {
	expectOk(await git(checkout, ['remote', 'set-url', 'origin', remote.location]), 'git remote set-url', remote);
	for (const name of PRIVATE_METADATA) await rm(join(checkout, '.git', name), { recursive: true, force: true });
}

async function readCommit(git: Git, remote: Remote, checkout: string, ref: string | undefined): Promise<Commit> {
	const log = await git(checkout, ['log', '-1', '--encoding=UTF-8', '--format=%H%x00%an <%ae>%x00%aI%x00%ct%x00%s']);
	const [commit, author, date, epoch, subject] = log.stdout.split('\0').map((field) => redact(field).trim());
	if (!log.ok || commit === undefined || epoch === undefined) {
		throw noCommits(remote.location);
	}
	const branch = ref ?? (await git(checkout, ['rev-parse', '--abbrev-ref', 'HEAD'])).stdout.trim();
	const message = Array.from(subject ?? '')
		.slice(0, 80)
		.join('');
	return {
		location: remote.location,
		commit,
		...(branch === '' || branch === 'HEAD' ? {} : { ref: branch }),
		...(author === undefined ? {} : { author }),
		...(date === undefined ? {} : { date }),
		...(message === '' ? {} : { message }),
		epoch: Number(epoch),
	};
}

/** SOURCE_EMPTY for a repository, at `location`, in which there is nothing to check out. */
export function noCommits(location: string): BuildError {
	return new BuildError('SOURCE_EMPTY', `the repository ${redact(location)} has no commits`, {
		hint: 'Commit something first, remove .git, or build the directory as it is with --copy.',
	});
}

function expectOk(result: GitResult, what: string, remote: Remote): void {
	if (!result.ok) throw gitFailed(what, result, remote);
}

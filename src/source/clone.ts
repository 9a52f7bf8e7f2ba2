import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { readCommitText } from './commit.js';
import { type Environment, type Git, type GitResult, gitFailed, openGit } from './git.js';
import { type GitRemote, localRemote, splitRemote } from './git-remote.js';
import { listPointers, pointersBuilt, withLfs } from './lfs.js';
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

/** What a remote says that has the commit but does not hand it out alone, or knows the ref by another name. */
const NEEDS_HISTORY =
	/couldn't find remote ref|not our ref|unadvertised object|does not allow request|invalid refspec|dumb http|does not support shallow|did not contain/i;
const PRIVATE_METADATA = ['FETCH_HEAD', 'ORIG_HEAD', 'logs', 'hooks'];

/**
 * Checks the remote repository `source` out with its submodules, the contents of Git LFS files when git-lfs is there, and as little
 * history as the remote allows. Resolves with what labels and the result say of the commit. Throws SOURCE_GIT.
 */
export async function cloneRepository(source: GitSource, options: CloneOptions, signal: AbortSignal): Promise<Commit> {
	const { checkout, env } = options;
	const remote = splitRemote(source.url);
	const git = openGit(remote, env, signal);
	await mkdir(checkout);
	await checkOutRemote(git, remote, source.ref, options);
	const commit = await readCommit(git, remote.location, { cwd: checkout, id: 'HEAD', ref: source.ref });
	if (options.keepMetadata) await clearMetadata(git, remote, checkout);
	return commit;
}

/**
 * Makes, in the new directory `checkout`, a repository of its own of the local one whose git directory is `gitDirectory`, called
 * `location`. Throws SOURCE_GIT.
 */
export async function cloneMetadata(
	{ gitDirectory, location, ref }: { readonly gitDirectory: string; readonly location: string; readonly ref?: string },
	{ checkout, env }: Pick<CloneOptions, 'checkout' | 'env'>,
	signal: AbortSignal,
): Promise<void> {
	const remote = { ...localRemote(location), url: gitDirectory };
	const git = openGit(remote, { ...env, GIT_LFS_SKIP_SMUDGE: '1' }, signal);
	await mkdir(checkout);
	await (ref === undefined ? cloneHead(git, remote, checkout) : checkoutRef(git, remote, checkout, ref));
	await clearMetadata(git, remote, checkout);
}

/**
 * Fetches the commit `ref` of the submodule at `url`, with its own submodules, into the empty directory `checkout`, and leaves only the
 * files. What git allows for the URLs of submodules counts (protocol.allow in git-config(1)). Throws SOURCE_GIT, SOURCE_INVALID.
 */
export async function cloneSubmodule(
	url: string,
	ref: string,
	options: Omit<CloneOptions, 'keepMetadata'>,
	signal: AbortSignal,
): Promise<void> {
	const remote = splitRemote(url);
	const git = openGit(remote, { ...options.env, GIT_PROTOCOL_FROM_USER: '0' }, signal);
	await checkOutRemote(git, remote, ref, options);
	await rm(join(options.checkout, '.git'), { recursive: true, force: true });
}

async function checkOutRemote(
	plainGit: Git,
	remote: GitRemote,
	ref: string | undefined,
	{ checkout, env, ignoreSubmodules, emitNotice }: Omit<CloneOptions, 'keepMetadata'>,
): Promise<void> {
	const lfs = await withLfs(plainGit, env);
	await (ref === undefined ? cloneHead(lfs.git, remote, checkout) : checkoutRef(lfs.git, remote, checkout, ref));
	if (!ignoreSubmodules && existsSync(join(checkout, '.gitmodules'))) {
		await updateSubmodules(lfs.git, remote, checkout);
	}
	const pointers = await listPointers(plainGit, checkout, ['--recurse-submodules']);
	if (pointers.length > 0) emitNotice(pointersBuilt(pointers, lfs.isInstalled));
}

/** `--no-local`: hard links into a repository, and what its objects directory may link to, are not for us (CVE-2022-39253). */
async function cloneHead(git: Git, remote: GitRemote, checkout: string): Promise<void> {
	const clone = (depth: readonly string[]) =>
		git(checkout, ['clone', '--quiet', '--no-local', ...depth, '--', remote.url, '.']);
	const shallow = await clone(['--depth', '1']);
	if (shallow.ok) return;
	expectOk(NEEDS_HISTORY.test(shallow.stderr) ? await clone([]) : shallow, `git clone of ${remote.location}`, remote);
}

async function checkoutRef(git: Git, remote: GitRemote, checkout: string, ref: string): Promise<void> {
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

async function updateSubmodules(git: Git, remote: GitRemote, checkout: string): Promise<void> {
	const update = (depth: readonly string[]) =>
		git(checkout, ['submodule', '--quiet', 'update', '--init', '--recursive', ...depth]);
	const shallow = await update(['--depth', '1']);
	if (shallow.ok) return;
	const result = NEEDS_HISTORY.test(shallow.stderr) ? await update([]) : shallow;
	expectOk(result, `the submodules of ${remote.location}: git submodule update`, remote);
}

/** A URL may hold a token in its query, and git writes it to several places. */
async function clearMetadata(git: Git, remote: GitRemote, checkout: string): Promise<void> {
	expectOk(await git(checkout, ['remote', 'set-url', 'origin', remote.location]), 'git remote set-url', remote);
	for (const name of PRIVATE_METADATA) await rm(join(checkout, '.git', name), { recursive: true, force: true });
}

/**
 * What the commit `id` says of itself, in the repository that `git` finds in `cwd`; its `ref` is the one that was asked for, else the
 * branch that is checked out. Throws SOURCE_GIT.
 */
export async function readCommit(
	git: Git,
	location: string,
	{ cwd, id, ref }: { readonly cwd: string; readonly id: string; readonly ref: string | undefined },
): Promise<Commit> {
	const commit = await git(cwd, ['rev-parse', '--verify', '--quiet', `${id}^{commit}`]);
	if (!commit.ok) throw noCommits(location);
	const raw = await git(cwd, ['cat-file', 'commit', commit.stdout.trim()]);
	const text = raw.ok ? readCommitText(raw.bytes) : undefined;
	if (text === undefined) throw gitFailed(`reading the commit of ${redact(location)}`, raw, localRemote(location));
	const branch = ref ?? (await git(cwd, ['symbolic-ref', '--quiet', '--short', 'HEAD'])).stdout.trim();
	return { location, commit: commit.stdout.trim(), ...(branch === '' ? {} : { ref: redact(branch) }), ...text };
}

/** SOURCE_EMPTY for a repository, at `location`, in which there is nothing to check out. */
export function noCommits(location: string): BuildError {
	return new BuildError('SOURCE_EMPTY', `the repository ${redact(location)} has no commits`, {
		hint: 'Commit something first, remove .git, or build the directory as it is with --copy.',
	});
}

function expectOk(result: GitResult, what: string, remote: GitRemote): void {
	if (!result.ok) throw gitFailed(what, result, remote);
}

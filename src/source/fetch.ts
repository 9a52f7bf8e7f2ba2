import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { BuildError, isBuildError } from '../errors.js';
import { redact } from '../redact.js';
import { childOf, printablePath, ROOT, type RootPath, rawPath } from '../root-path.js';
import { type ArchiveSource, archiveLocation, unpackArchive } from './archive.js';
import { cloneRepository, type GitSource, noCommits } from './clone.js';
import { checkSettings, isInside, parseContextDir, resolveContextDir } from './context-dir.js';
import { copyDirectory, copyEntry, imitateCheckout, type Rules, tidyDirectory } from './directory.js';
import { createFollower } from './follow.js';
import { nameSome, openGit } from './git.js';
import { localRemote } from './git-remote.js';
import { readHeadCommit } from './head-commit.js';
import type { Ignore } from './ignore.js';
import { checkOutLocal } from './local-clone.js';
import { entryOf } from './scan.js';
import { parseExclude, readSelection } from './selection.js';
import type { FetchOptions, Source, SourceInfo } from './source.js';

/**
 * Puts the contents of the source's context directory into `destination`, without what `exclude` and `.s2iignore` name, `.git` by
 * default. A git repository is cloned, a local one too: what is not committed is not built, which a notice tells. Leaves nothing
 * else behind, but when aborted: removing what is half made, beside `destination`, may take longer than somebody waits. Throws USAGE for a bad `exclude`, SOURCE_NOT_FOUND, SOURCE_INVALID, SOURCE_GIT, HOST_NO_SPACE, and what
 * `http` throws; rejects with the signal's reason when aborted.
 */
export async function fetchSource(source: Source, options: FetchOptions, signal: AbortSignal): Promise<SourceInfo> {
	signal.throwIfAborted();
	await parseExclude(options.exclude);
	const contextDir = parseContextDir(options.contextDir);
	const info = await fetchByType(source, { ...options, contextDir }, signal);
	await checkSettings(options.destination);
	return contextDir === '' ? info : { ...info, contextDir };
}

/** What is wanted, the context directory being a clean path of {@link parseContextDir}. */
type Fetching = FetchOptions & { readonly contextDir: string };

function fetchByType(source: Source, options: Fetching, signal: AbortSignal): Promise<SourceInfo> {
	switch (source.type) {
		case 'git':
			return source.local ? fetchLocalRepository(source, options, signal) : fetchRepository(source, options, signal);
		case 'directory':
			return fetchDirectory(source.path, options, signal);
		case 'file':
			return fetchFile(source.path, options, signal);
		case 'archive':
		case 'stdin':
			return fetchArchive(source, options, signal);
	}
}

/** Checks the commit out, or copies with a notice where git is missing and no ref asks for it, as S2I does (decision 038). */
async function fetchLocalRepository(source: GitSource, options: Fetching, signal: AbortSignal): Promise<SourceInfo> {
	if (isEmptyRepository(join(source.url, '.git'))) throw noCommits(source.url);
	if (source.ref === undefined && !(await isGitInstalled(options, signal))) {
		return copyRepository(source.url, options, signal);
	}
	return fetchRepository(source, options, signal);
}

/** What is committed gets the modes and times that a checkout gives it, so that a clean working tree makes the same image. */
async function copyRepository(path: string, options: Fetching, signal: AbortSignal): Promise<SourceInfo> {
	const commit = await readHeadCommit(path, options.env);
	const more = commit === undefined ? ', and the image says nothing of the commit' : '';
	options.emitNotice(`git is not installed: the directory is copied as it is, with what is not committed${more}`);
	if (commit === undefined) return fetchDirectory(path, options, signal);
	const { ignoredScripts } = await fetchDirectory(path, { ...options, keepSymlinks: true }, signal);
	await imitateCheckout(rawPath(options.destination), signal);
	return { ...commit, ignoredScripts };
}

async function isGitInstalled({ env }: FetchOptions, signal: AbortSignal): Promise<boolean> {
	try {
		return (await openGit(localRemote(''), env, signal)('/', ['version'])).ok;
	} catch (error) {
		if (isBuildError(error, 'SOURCE_GIT')) return false;
		throw error;
	}
}

async function fetchRepository(source: GitSource, options: Fetching, signal: AbortSignal): Promise<SourceInfo> {
	const { contextDir, ignoreSubmodules, env, emitNotice } = options;
	const keepMetadata = contextDir === '' && !(await parseExclude(options.exclude))('.git');
	return inWorkDirectory(options, signal, async (work) => {
		const checkout = join(work, 'source');
		const clone = { checkout, ignoreSubmodules, keepMetadata, env, emitNotice };
		const commit = source.local
			? await checkOutLocal(source, { ...clone, scratch: join(work, 'git'), contextDir }, signal)
			: await cloneRepository(source, clone, signal);
		const { ignoredScripts } = await settleSource(checkout, { modes: 'git', links: 'any' }, options, signal);
		return { ...commit, ignoredScripts };
	});
}

async function fetchArchive(source: ArchiveSource, options: Fetching, signal: AbortSignal): Promise<SourceInfo> {
	return inWorkDirectory(options, signal, async (work) => {
		const root = join(work, 'source');
		await mkdir(root, { mode: 0o700 });
		await unpackArchive(source, root, work, options, signal);
		const rules: Rules = { modes: 'kept', links: options.keepSymlinks ? 'any' : 'inside' };
		return { location: archiveLocation(source), ...(await settleSource(root, rules, options, signal)) };
	});
}

/** Moves what is wanted of the checkout or unpacked archive `from` to the destination. `epoch` is the newest mtime of a file or link. */
async function settleSource(
	from: string,
	rules: Rules,
	{ contextDir, destination, exclude }: Fetching,
	signal: AbortSignal,
): Promise<Pick<SourceInfo, 'epoch' | 'ignoredScripts'>> {
	const context = await resolveContextDir(from, contextDir);
	const { omit, isExcluded, ignoredScripts } = await readSelection(context, await parseExclude(exclude));
	for (const name of await readdir(context, { encoding: 'buffer' })) {
		if (!isExcluded(name.toString('utf8'))) await rename(joinName(context, name), joinName(destination, name));
	}
	const epoch = await tidyDirectory(rawPath(destination), { omit, ...rules }, signal);
	return { epoch, ignoredScripts: ignoredScripts() };
}

function joinName(directory: string, name: Buffer): Buffer {
	return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

async function fetchDirectory(path: string, options: Fetching, signal: AbortSignal): Promise<SourceInfo> {
	if (!(await stat(path)).isDirectory()) {
		throw new BuildError('SOURCE_INVALID', `the source ${JSON.stringify(redact(path))} is not a directory`, {
			hint: 'Give the directory that holds the source code, or a git URL.',
		});
	}
	const from = await realpath(await resolveContextDir(path, options.contextDir));
	const { omit, isLeftOut, ignoredScripts } = await readSelection(from, await parseExclude(options.exclude));
	await checkDestination(from, options.destination, isLeftOut);
	const { follow, followed, kept } = createFollower(rawPath(await realpath(options.destination)));
	const doors: RootPath[] = [];
	const leftOut = (entry: RootPath) => void doors.push(entry);
	const scan = { omit, leftOut, ...(!options.keepSymlinks && { follow }) };
	const epoch = await copyDirectory(rawPath(from), rawPath(options.destination), scan, signal);
	const tell = (paths: readonly RootPath[], sentence: (names: string) => string) => {
		if (paths.length > 0) options.emitNotice(sentence(nameSome(paths.map(printablePath).sort())));
	};
	tell(doors, (names) => `sockets and FIFOs of the source are left out (${names})`);
	tell(
		followed.map((entry) => entry.path),
		(names) => `links that leave the source are built as copies (${names}); keep them with --keep-symlinks`,
	);
	const how = followed.length > 0 ? '' : '; --keep-symlinks says that links are meant, without this line';
	tell(
		kept,
		(names) =>
			`links inside the source stay links (${names}), where S2I builds copies of what they point to: ` +
			`if assemble cannot do with links, replace them by copies in the source${how}`,
	);
	return { location: redact(path), epoch, ignoredScripts: ignoredScripts() };
}

async function fetchFile(path: string, options: Fetching, signal: AbortSignal): Promise<SourceInfo> {
	const { contextDir, destination } = options;
	if (contextDir !== '') {
		const message = `the source is one file and has no directory ${JSON.stringify(contextDir)}`;
		throw new BuildError('SOURCE_NOT_FOUND', message, {
			hint: 'Leave out --context-dir, or give the directory that holds the file.',
		});
	}
	const name = basename(path);
	const entry = entryOf(childOf(ROOT, rawPath(name)), rawPath(path), await stat(path));
	if (!(await copyEntry(entry, join(destination, name), signal))) {
		throw new BuildError('SOURCE_NOT_FOUND', `the file ${JSON.stringify(redact(path))} vanished`, {
			hint: 'Build again when it is there.',
		});
	}
	return { location: redact(path), epoch: Math.max(0, Math.floor(entry.mtime)), ignoredScripts: [] };
}

/** Whether `name` is one that a fetch which was aborted may have left beside its destination. */
export function isWorkDirectory(name: string): boolean {
	return /^fetch-[A-Za-z0-9]{6}$/.test(name);
}

/** A directory beside the destination, on its filesystem, that is gone afterwards unless `signal` is aborted. */
async function inWorkDirectory<T>(
	options: FetchOptions,
	signal: AbortSignal,
	use: (work: string) => Promise<T>,
): Promise<T> {
	const work = await mkdtemp(join(dirname(options.destination), 'fetch-'));
	try {
		return await use(work);
	} finally {
		if (!signal.aborted) await rm(work, { recursive: true, force: true });
	}
}

/** As S2I has it: `.git` is a directory with nothing under `objects` and `refs`. git itself would look for one further up. */
function isEmptyRepository(metadata: string): boolean {
	if (statSync(metadata, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
	if (existsSync(join(metadata, 'packed-refs'))) return false;
	return !['objects', 'refs'].some((name) => holdsFile(join(metadata, name)));
}

function holdsFile(directory: string): boolean {
	if (!existsSync(directory)) return false;
	const entries = readdirSync(directory, { withFileTypes: true });
	return entries.some((entry) => !entry.isDirectory() || holdsFile(join(directory, entry.name)));
}

/** A copy that contains its own destination would also contain every other layer and build in the store. */
async function checkDestination(source: string, destination: string, isLeftOut: Ignore): Promise<void> {
	const target = await realpath(destination);
	if (!isInside(target, source)) return;
	const parts = relative(source, target).split('/');
	if (parts.some((_part, index) => isLeftOut(parts.slice(0, index + 1).join('/')))) return;
	throw new BuildError('SOURCE_INVALID', `the store is inside the source, at ${JSON.stringify(parts[0])}`, {
		hint: `Name ${JSON.stringify(parts[0])} in .s2iignore, or choose a store outside with --store.`,
	});
}

import { mkdtemp, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { rawPath } from '../root-path.js';
import { cloneRepository, describeChanges, type GitSource } from './clone.js';
import { checkSettings, isInside, parseContextDir, readSourceFile, resolveContextDir } from './confine.js';
import { copyDirectory, tidyCheckout } from './directory.js';
import { type Ignore, isGitMetadata, parseIgnore } from './ignore.js';
import type { Source, SourceInfo } from './source.js';

/** Where a source goes, and what is told on the way. */
export interface FetchOptions {
	/** Directory below the source whose contents are built. */
	readonly contextDir: string | undefined;
	/** Absolute path of an empty directory; its parent must be on the same filesystem and writable. */
	readonly destination: string;
	/** Takes one sentence for the user. */
	readonly emitNotice: (message: string) => void;
	readonly env: Readonly<Record<string, string | undefined>>;
}

const MAX_IGNORE = 1024 * 1024;

/**
 * Puts the contents of the source's context directory into `destination`, without `.git` and what `.s2iignore` names. A git
 * repository is cloned, a local one too: what is not committed is not built, which a notice tells. Leaves nothing else behind.
 * Throws SOURCE_NOT_FOUND, SOURCE_INVALID, SOURCE_GIT; rejects with the signal's reason when aborted.
 */
export async function fetchSource(source: Source, options: FetchOptions, signal: AbortSignal): Promise<SourceInfo> {
	signal.throwIfAborted();
	const contextDir = parseContextDir(options.contextDir);
	const info =
		source.type === 'git'
			? await fetchRepository(source, contextDir, options, signal)
			: await fetchDirectory(source.path, contextDir, options, signal);
	await checkSettings(options.destination);
	return contextDir === '' ? info : { ...info, contextDir };
}

async function fetchRepository(
	source: GitSource,
	contextDir: string,
	options: FetchOptions,
	signal: AbortSignal,
): Promise<SourceInfo> {
	if (source.local) await noticeChanges(source.url, options, signal);
	const work = await mkdtemp(join(dirname(options.destination), 'clone-'));
	try {
		const checkout = join(work, 'source');
		const info = await cloneRepository(source, checkout, options.env, signal);
		const from = await resolveContextDir(checkout, contextDir);
		const ignore = await readIgnore(from);
		for (const name of await readdir(from, { encoding: 'buffer' })) {
			if (name.toString('latin1') === '.git') continue;
			await rename(joinName(from, name), joinName(options.destination, name));
		}
		await tidyCheckout(rawPath(options.destination), ignore, signal);
		return info;
	} finally {
		await rm(work, { recursive: true, force: true });
	}
}

async function fetchDirectory(
	path: string,
	contextDir: string,
	options: FetchOptions,
	signal: AbortSignal,
): Promise<SourceInfo> {
	if (!(await stat(path)).isDirectory()) {
		throw new BuildError('SOURCE_INVALID', `the source ${JSON.stringify(redact(path))} is not a directory`, {
			hint: 'Give the directory that holds the source code, or a git URL.',
		});
	}
	const from = await realpath(await resolveContextDir(path, contextDir));
	const ignore = await readIgnore(from);
	await checkDestination(from, options.destination, ignore);
	const epoch = await copyDirectory(rawPath(from), rawPath(options.destination), ignore, signal);
	return { location: redact(path), epoch };
}

async function noticeChanges(path: string, options: FetchOptions, signal: AbortSignal): Promise<void> {
	const changes = await describeChanges(path, options.env, signal);
	if (changes === undefined) return;
	options.emitNotice(`uncommitted changes are not built (${changes}); commit them, or build them too with --copy`);
}

async function readIgnore(root: string): Promise<Ignore> {
	const text = await readSourceFile(root, '.s2iignore', MAX_IGNORE);
	const ignore = text === undefined ? undefined : parseIgnore(text);
	return (path) => isGitMetadata(path) || ignore?.(path) === true;
}

/** A copy that contains its own destination would also contain every other layer and build in the store. */
async function checkDestination(source: string, destination: string, ignore: Ignore): Promise<void> {
	const target = await realpath(destination);
	if (!isInside(target, source)) return;
	const parts = relative(source, target).split('/');
	if (parts.some((_part, index) => ignore(parts.slice(0, index + 1).join('/')))) return;
	throw new BuildError('SOURCE_INVALID', `the store is inside the source, at ${JSON.stringify(parts[0])}`, {
		hint: `Name ${JSON.stringify(parts[0])} in .s2iignore, or choose a store outside with --store.`,
	});
}

function joinName(directory: string, name: Buffer): Buffer {
	return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

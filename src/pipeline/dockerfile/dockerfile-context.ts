import { constants, readdirSync, type Stats } from 'node:fs';
import { chmod, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, posix, resolve } from 'node:path';
import { BuildError, isBuildError, messageOf } from '../../errors.js';
import { makePath } from '../../make-path.js';
import { writeOutputFile } from '../../output-file.js';
import { redact } from '../../redact.js';
import { removeTree } from '../../remove-tree.js';
import { lookAt } from '../../resolve-links.js';
import { rawPath } from '../../root-path.js';
import type { Contract } from '../../s2i/contract.js';
import { CONTEXT, type ContextMount } from '../../s2i/dockerfile.js';
import type { PathPair } from '../../s2i/volumes.js';
import { copyContent } from '../../source/directory.js';
import { isWorkDirectory } from '../../source/fetch.js';
import { writeByRename } from '../../whole-file.js';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
const MARKER = 'upload/.made-by-s2oci';
const MARK = 'Everything here is replaced by the next s2oci build --as-dockerfile.\n';
const MAX_INJECTED_FILES = 1000;

/** The Dockerfile that `output` names: itself, or the `Dockerfile` in it when it is a directory or ends with `/`. */
export async function dockerfilePath(output: string): Promise<string> {
	const isDirectory = output.endsWith('/') || (await stat(output).catch(() => undefined))?.isDirectory() === true;
	return isDirectory ? join(output, 'Dockerfile') : output;
}

/**
 * Makes `context` ready for a new source: what an earlier run put there is removed. Throws OUTPUT_FAILED, also when there is an
 * `upload` that s2oci did not make, since it may be somebody's only copy, and for links in it.
 */
export async function clearContext(context: string): Promise<void> {
	await refuseLinks(context);
	const upload = join(context, 'upload');
	const names = await readdir(upload).catch((): string[] => []);
	const isOurs = (await lookAt(join(context, MARKER)))?.isFile() === true;
	if (names.length > 0 && !isOurs) {
		throw new BuildError('OUTPUT_FAILED', `${redact(upload)} exists and was not made by s2oci`, {
			hint: 'The source would replace it: remove it, or write the Dockerfile to another directory.',
		});
	}
	await writing(context, async () => {
		for (const path of Object.values(CONTEXT)) await rm(join(context, path), { recursive: true, force: true });
		makePath(resolve(upload));
		await writeByRename(upload, basename(MARKER), MARK, { mode: 0o666 });
	});
	await makeSourceDirectory(context);
}

/** Removes what {@link clearContext} made and what s2oci put there since; files of others stay. Never throws: a failure is reported already. */
export function removeContext(context: string): void {
	try {
		const upload = join(context, 'upload');
		const ours = Object.values(CONTEXT).map((path) => basename(path));
		const isOurs = (name: string) => ours.includes(name) || isWorkDirectory(name);
		for (const name of readdirSync(upload).filter(isOurs)) removeTree(rawPath(join(upload, name)));
		if (readdirSync(upload).every((name) => name === basename(MARKER))) removeTree(rawPath(upload));
	} catch {
		// The next run replaces what is left.
	}
}

/** The directory of the source in `context`; what is in it stays. Throws OUTPUT_FAILED. */
export async function makeSourceDirectory(context: string): Promise<string> {
	await refuseLinks(context);
	const source = join(context, CONTEXT.source);
	await writing(context, async () => {
		await mkdir(source, { recursive: true });
		await using directory = await open(source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		await directory.chmod(0o755);
	});
	return source;
}

/** Writes the Dockerfile to `path`. Throws OUTPUT_FAILED, also for a link: a checkout may have brought it (CWE-59). */
export async function writeDockerfileText(path: string, text: string): Promise<void> {
	await refuseLink(path);
	await writing(path, () => writeOutputFile(path, text));
}

/** Throws OUTPUT_FAILED when `path` itself is a link. */
export async function refuseLink(path: string): Promise<void> {
	if ((await writing(path, () => lookAt(path)))?.isSymbolicLink() !== true) return;
	throw new BuildError('OUTPUT_FAILED', `${redact(path)} is a link, which may have come with a repository`, {
		hint: 'Name what it leads to, if that is where it should go; else remove the link.',
	});
}

/** Writes one text file below `upload`; what was there is replaced, a link too. Throws OUTPUT_FAILED. */
export async function writeContextFile(path: string, text: string): Promise<void> {
	await writing(path, () => writeByRename(dirname(path), basename(path), text, { mode: 0o666 }));
}

/** Whatever is written, made or opened up below `context` would be so where a link leads. */
async function refuseLinks(context: string): Promise<void> {
	for (const path of ['upload', MARKER, ...Object.values(CONTEXT)]) await refuseLink(join(context, path));
}

/**
 * Copies what is injected into `context`, file by file, so that each can be mounted without hiding what the image has beside it; links
 * to files are followed. A file keeps its name below a directory that the image surely has (WORKDIR, the destination, what holds
 * them, and `/NAME`), else it appears at the destination itself. Programs keep their mode, but buildah mounts all of it noexec.
 * Throws USAGE for what cannot be read; rejects with the signal's reason.
 */
export async function copyInjections(
	injections: readonly PathPair[],
	{ workingDir, destination }: Pick<Contract, 'workingDir' | 'destination'>,
	context: string,
	signal: AbortSignal,
): Promise<readonly ContextMount[]> {
	const mounts: ContextMount[] = [];
	for (const [index, { source, destination: to }] of injections.entries()) {
		const target = posix.resolve(workingDir, to);
		const isRoomy = [workingDir, destination].some((path) =>
			`${path}/`.startsWith(target === '/' ? '/' : `${target}/`),
		);
		const from = await readInjection(source);
		for (const { path, size, executable } of from.files) {
			const inTarget = from.isDirectory ? relativeTo(source, path) : basename(source);
			const copy = posix.join(CONTEXT.injections, String(index), inTarget);
			await writing(context, async () => {
				await mkdir(dirname(join(context, copy)), { recursive: true });
				await copyContent(path, join(context, copy), size, signal);
				await chmod(join(context, copy), executable ? 0o755 : 0o644);
			}).catch((error: unknown) => {
				signal.throwIfAborted();
				throw error;
			});
			const isInside = from.isDirectory || isRoomy || posix.dirname(target) === '/';
			mounts.push({ source: copy, target: isInside ? posix.join(target, inTarget) : target });
		}
		if (mounts.length > MAX_INJECTED_FILES) throw tooMany(source);
	}
	return mounts;
}

interface InjectedFile {
	readonly path: string;
	/** Bytes. */
	readonly size: number;
	readonly executable: boolean;
}

async function readInjection(
	source: string,
): Promise<{ readonly isDirectory: boolean; readonly files: readonly InjectedFile[] }> {
	try {
		const stats = await stat(source);
		if (!stats.isDirectory() && !stats.isFile()) throw new Error('it is neither a file nor a directory');
		if (stats.isFile()) return { isDirectory: false, files: [fileOf(source, stats)] };
		return { isDirectory: true, files: await listFiles(source, source, []) };
	} catch (cause) {
		if (isBuildError(cause)) throw cause;
		throw new BuildError('USAGE', `--inject ${redact(source)} cannot be read: ${redact(messageOf(cause))}`, {
			hint: 'Name a readable file or directory of this machine.',
			cause,
		});
	}
}

async function listFiles(directory: string, top: string, found: InjectedFile[]): Promise<readonly InjectedFile[]> {
	const entries = await readdir(directory, { withFileTypes: true });
	for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
		const path = join(directory, entry.name);
		if (entry.isDirectory()) {
			if (entry.name !== '.git') await listFiles(path, top, found);
			continue;
		}
		const stats = await stat(path);
		if (stats.isFile()) found.push(fileOf(path, stats));
		if (found.length > MAX_INJECTED_FILES) throw tooMany(top);
	}
	return found;
}

function fileOf(path: string, { size, mode }: Stats): InjectedFile {
	return { path, size, executable: (mode & 0o111) !== 0 };
}

function relativeTo(directory: string, path: string): string {
	return path.slice(directory.length).replace(/^\/+/, '');
}

async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
	try {
		return await write();
	} catch (cause) {
		throw new BuildError('OUTPUT_FAILED', `${redact(path)} cannot be written: ${redact(messageOf(cause))}`, {
			hint: 'Check the path, its permissions and the free space.',
			cause,
		});
	}
}

function tooMany(source: string): BuildError {
	return new BuildError('USAGE', `--inject ${redact(source)} has more than ${MAX_INJECTED_FILES} files`, {
		hint: 'A Dockerfile mounts each by itself; inject a directory with fewer files.',
	});
}

import { constants } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import { isAbsolute, join, posix, relative } from 'node:path';
import { BuildError, errnoOf } from '../errors.js';
import { redact } from '../redact.js';
import { partsOf } from '../root-path.js';

/** `text` as a clean relative path; `''` when it is undefined or names the root. Throws SOURCE_INVALID when it has a `..` part. */
export function parseContextDir(text: string | undefined): string {
	const normal = posix.normalize(`./${text ?? ''}`);
	if (text?.split('/').includes('..') === true || text?.includes('\0') === true) {
		throw outside('the context directory', text);
	}
	return partsOf(normal).join('/');
}

/**
 * The directory `contextDir` (of {@link parseContextDir}) below `root`. Every part must be a real directory: a symbolic link could
 * lead anywhere (CVE-2026-33748). Throws SOURCE_NOT_FOUND or SOURCE_INVALID.
 */
export async function resolveContextDir(root: string, contextDir: string): Promise<string> {
	let path = root;
	for (const part of contextDir.split('/').filter(Boolean)) {
		path = join(path, part);
		const stat = await lstat(path).catch((cause: unknown) => {
			throw new BuildError('SOURCE_NOT_FOUND', `the source has no directory ${quote(contextDir)}`, {
				hint: 'Check --context-dir; it is relative to the root of the source.',
				cause,
			});
		});
		if (stat.isSymbolicLink()) throw outside('a part of the context directory is a symbolic link', contextDir);
		if (!stat.isDirectory()) {
			throw new BuildError('SOURCE_INVALID', `the context directory ${quote(contextDir)} is not a directory`, {
				hint: '--context-dir names the directory that holds what is to be built.',
			});
		}
	}
	return path;
}

/** Whether `path` is `root` or below it, by path parts, without looking at the disk. */
export function isInside(path: string, root: string): boolean {
	const way = relative(root, path);
	return way === '' || (way !== '..' && !way.startsWith('../') && !isAbsolute(way));
}

const SETTINGS = ['.s2i', '.s2i/bin', '.s2i/environment', '.sti', '.sti/bin'];

/**
 * Refuses, with SOURCE_INVALID, a source whose S2I scripts or settings are behind a symbolic link that leaves `root`: they are read
 * and moved outside the sandbox, and a repository may bring any link.
 */
export async function checkSettings(root: string): Promise<void> {
	const real = await realpath(root);
	for (const path of SETTINGS) {
		const target = await resolvePath(root, path);
		if (target !== undefined && !isInside(target, real)) throw outside('a symbolic link', path);
	}
}

/**
 * The text of the file `path` below `root`; undefined when there is none. Links that stay inside `root` are followed. Throws
 * SOURCE_INVALID for one that leaves, for what is not a regular file, and for files over `maxBytes`.
 */
export async function readSourceFile(root: string, path: string, maxBytes: number): Promise<string | undefined> {
	const file = await resolveFile(root, path);
	if (file === undefined) return undefined;
	await using handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
	const buffer = Buffer.alloc(maxBytes + 1);
	const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
	if (bytesRead > maxBytes) {
		throw new BuildError('SOURCE_INVALID', `${path} of the source is larger than ${maxBytes} bytes`, {
			hint: 'Make the file smaller; s2oci reads such files as settings.',
		});
	}
	return buffer.toString('utf8', 0, bytesRead);
}

async function resolveFile(root: string, path: string): Promise<string | undefined> {
	const file = await resolvePath(root, path);
	if (file === undefined) return undefined;
	if (!isInside(file, await realpath(root))) throw outside('a symbolic link', path);
	if ((await lstat(file)).isFile()) return file;
	throw new BuildError('SOURCE_INVALID', `${path} of the source is not a regular file`, {
		hint: 'Replace it with a file, or remove it.',
	});
}

async function resolvePath(root: string, path: string): Promise<string | undefined> {
	return realpath(join(root, path)).catch((error: unknown) => {
		if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
		const message = `${path} of the source cannot be read: ${errnoOf(error) ?? 'unknown error'}`;
		throw new BuildError('SOURCE_INVALID', message, {
			hint: 'Check its permissions, and that no symbolic link points to itself.',
			cause: error,
		});
	});
}

function outside(what: string, path: string): BuildError {
	return new BuildError('SOURCE_INVALID', `${what} may lead out of the source: ${quote(path)}`, {
		hint: 'Only what is inside the source can be built.',
	});
}

function quote(path: string): string {
	return JSON.stringify(redact(path).slice(0, 200));
}

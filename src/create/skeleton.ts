import { readdirSync, readFileSync } from 'node:fs';
import { lstat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BuildError, errnoOf } from '../errors.js';
import { makePath } from '../make-path.js';

/** One file of the skeleton: its path below the destination, its mode (0755 or 0644) and its text. */
export interface SkeletonFile {
	readonly path: string;
	readonly mode: number;
	readonly text: string;
}

const SKELETON = fileURLToPath(new URL('../../skeleton', import.meta.url));

/**
 * The files of a new builder image called `image`, a valid image name without a tag: those of `skeleton`, in which `@IMAGE@` is that
 * name. What begins with `#!` can be executed.
 */
export function skeleton(image: string): readonly SkeletonFile[] {
	const entries = readdirSync(SKELETON, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
	return entries.map(({ parentPath, name }) => {
		const file = join(parentPath, name);
		const text = readFileSync(file, 'utf8').replaceAll('@IMAGE@', image);
		return { path: relative(SKELETON, file), mode: text.startsWith('#!') ? 0o755 : 0o644, text };
	});
}

/**
 * Writes the skeleton of `image` into `destination`, which is made when it does not exist; resolves with what was written. Throws USAGE,
 * before anything is written, when one of the files exists, and OUTPUT_FAILED.
 */
export async function writeSkeleton(destination: string, image: string): Promise<readonly SkeletonFile[]> {
	const files = skeleton(image);
	const existing = await existingOf(destination, files);
	if (existing.length > 0) {
		throw new BuildError('USAGE', `${existing.join(', ')} of ${destination} would be overwritten`, {
			hint: 'Choose another directory, or move these files away.',
		});
	}
	try {
		for (const { path, mode, text } of files) {
			makePath(dirname(resolve(destination, path)));
			await writeFile(join(destination, path), text, { mode, flag: 'wx' });
		}
		return files;
	} catch (cause) {
		throw new BuildError('OUTPUT_FAILED', `${destination} cannot be written: ${errnoOf(cause) ?? 'unknown error'}`, {
			hint: 'Choose a directory that you may write.',
			cause,
		});
	}
}

async function existingOf(destination: string, files: readonly SkeletonFile[]): Promise<readonly string[]> {
	const look = async ({ path }: SkeletonFile) => {
		const found = await lstat(join(destination, path)).catch(() => undefined);
		return found === undefined ? [] : [path];
	};
	return (await Promise.all(files.map(look))).flat().sort();
}

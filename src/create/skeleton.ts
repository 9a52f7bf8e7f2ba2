import { lstat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { BuildError, errnoOf } from '../errors.js';
import { makePath } from '../make-path.js';
import { projectFiles } from './project.js';
import { scripts } from './scripts.js';
import type { SkeletonFile } from './skeleton-file.js';
import { testFiles } from './test-files.js';

/** The files of a new builder image called `image`, a valid image name without a tag. */
export function skeleton(image: string): readonly SkeletonFile[] {
	return [...scripts(image), ...projectFiles(image), ...testFiles(image)];
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
	const found = await Promise.all(
		files.map(({ path }) =>
			lstat(join(destination, path)).then(
				() => [path],
				() => [],
			),
		),
	);
	return found.flat();
}

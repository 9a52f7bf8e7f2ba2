import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import { formatPath } from './fields.js';
import type { NameImage } from './image-streams.js';
import type { ReadBuildConfig } from './read-build-config.js';
import type { Path } from './yaml-objects.js';

/** An image of `spec.source.images`, and what of it becomes part of the source. */
export interface CopiedImage {
	/** As a command line takes it. */
	readonly name: string;
	/** In `spec.source.images`. */
	readonly index: number;
	/** `source` is absolute in the image, with `/.` at its end for what is in it; `destination` is a directory below what is built. */
	readonly paths: readonly { readonly source: string; readonly destination: string }[];
}

/**
 * What `spec.source.images` wants, where `contextDir` is built (build.openshift.io/v1, ImageSource: destinations begin at the top of the
 * source). Each copy that is outside of it, and so not built, is one of `notices`. Throws USAGE with the place of what cannot be a path.
 */
export function readSourceImages(
	{ value, at }: ReadBuildConfig,
	contextDir: string,
	nameImage: NameImage,
): { readonly images: readonly CopiedImage[]; readonly notices: readonly string[] } {
	const notices: string[] = [];
	const images = value.spec.source.images.map(({ from, paths }, index): CopiedImage => {
		const path: Path = ['spec', 'source', 'images', index];
		const kept = paths.flatMap(({ sourcePath, destinationDir }, number) => {
			const here: Path = [...path, 'paths', number];
			const source = sourcePathOf(sourcePath, here, at);
			const destination = posix.relative(posix.join('/', contextDir), destinationOf(destinationDir, here, at));
			if (!leadsOut(destination)) return [{ source, destination }];
			const outside = `${at(here)}: ${formatPath(here)} is not copied: its destinationDir is outside of the context directory`;
			notices.push(outside);
			return [];
		});
		return { index, name: kept.length === 0 ? '' : nameImage(from, 'read', at([...path, 'from'])), paths: kept };
	});
	return { images: images.filter(({ paths }) => paths.length > 0), notices };
}

function sourcePathOf(sourcePath: string, path: Path, at: ReadBuildConfig['at']): string {
	if (!sourcePath.startsWith('/') || sourcePath.includes('\0')) {
		throw unusable([...path, 'sourcePath'], 'is no absolute path of the image', at);
	}
	const clean = posix.join(sourcePath, '.').replace(/(?<=.)\/$/, '');
	return sourcePath.endsWith('/.') ? posix.join(clean, '/') + '.' : clean;
}

function destinationOf(destinationDir: string, path: Path, at: ReadBuildConfig['at']): string {
	const clean = posix.normalize(destinationDir);
	if (!posix.isAbsolute(clean) && !leadsOut(clean) && !clean.includes('\0')) return posix.join('/', clean);
	throw unusable([...path, 'destinationDir'], 'leads out of the source', at);
}

function leadsOut(relative: string): boolean {
	return /^\.\.(?:\/|$)/.test(relative);
}

function unusable(path: Path, why: string, at: ReadBuildConfig['at']): BuildError {
	return new BuildError('USAGE', `${at(path)}: ${formatPath(path)} ${why}`, {
		hint: 'sourcePath is absolute in the image, and destinationDir a directory below the source.',
	});
}

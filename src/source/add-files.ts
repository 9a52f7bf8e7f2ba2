import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BuildError } from '../errors.js';
import { lookAt } from '../resolve-links.js';

/** A file that is put into a fetched source. */
export interface AddedFile {
	/** Relative to what is built, without `..`. */
	readonly path: string;
	readonly content: Uint8Array;
}

/** Writes `files` into `directory`, which nobody else changes, in place of what is there. Throws SOURCE_INVALID where a link is in the way. */
export async function addFiles(directory: string, files: readonly AddedFile[]): Promise<void> {
	for (const { path, content } of files) {
		await makeParents(directory, dirname(path));
		const target = join(directory, path);
		const found = await lookAt(target);
		if (found?.isDirectory() === true) throw inTheWay(path);
		// A link of the source would lead the write elsewhere (CWE-59).
		if (found !== undefined) await rm(target);
		await writeFile(target, content, { mode: 0o644, flag: 'wx' });
	}
}

async function makeParents(directory: string, path: string): Promise<void> {
	if (path === '.') return;
	await makeParents(directory, dirname(path));
	const target = join(directory, path);
	const found = await lookAt(target);
	if (found === undefined) await mkdir(target, { mode: 0o755 });
	else if (!found.isDirectory()) throw inTheWay(path);
}

function inTheWay(path: string): BuildError {
	return new BuildError(
		'SOURCE_INVALID',
		`a file cannot be put into the source: ${JSON.stringify(path)} is in the way`,
		{
			hint: 'Choose another directory for it, such as another destinationDir in the BuildConfig.',
		},
	);
}

import { readdir, rename } from 'node:fs/promises';
import { rawPath } from '../root-path.js';
import { resolveContextDir } from './context-dir.js';
import { tidyDirectory } from './directory.js';
import { parseExclude, readSelection } from './selection.js';
import type { FetchOptions, SourceInfo } from './source.js';

/**
 * Moves what is in the directory `contextDir` of the checkout or unpacked archive `from` to the destination, without what is excluded
 * or ignored. Resolves with the newest mtime of a file or link in seconds. Throws SOURCE_NOT_FOUND, SOURCE_INVALID.
 */
export async function settleSource(
	from: string,
	contextDir: string,
	rules: { readonly modes: 'git' | 'kept'; readonly links: 'any' | 'inside' },
	options: Pick<FetchOptions, 'destination' | 'exclude'>,
	signal: AbortSignal,
): Promise<Pick<SourceInfo, 'epoch' | 'ignoredScripts'>> {
	const { destination } = options;
	const context = await resolveContextDir(from, contextDir);
	const { omit, isExcluded, ignoredScripts } = await readSelection(context, await parseExclude(options.exclude));
	for (const name of await readdir(context, { encoding: 'buffer' })) {
		if (!isExcluded(name.toString('utf8'))) await rename(joinName(context, name), joinName(destination, name));
	}
	const epoch = await tidyDirectory(rawPath(destination), { omit, ...rules }, signal);
	return { epoch, ignoredScripts: ignoredScripts() };
}

function joinName(directory: string, name: Buffer): Buffer {
	return Buffer.concat([Buffer.from(`${directory}/`), name]);
}

import type { RootPath } from '../root-path.js';
import { readSourceFile } from './context-dir.js';
import { type Ignore, parseIgnore } from './ignore.js';

/** What of a source is built. */
export interface Selection {
	/** Whether a path is left out, together with what is below it. To be asked once for each path, directories first. */
	readonly omit: (path: RootPath) => boolean;
	/** Whether `--exclude` alone leaves out a path. */
	readonly isExcluded: Ignore;
	/** Whether a path is left out, as text and without being counted. */
	readonly isLeftOut: Ignore;
	/** {@link SourceInfo.ignoredScripts} of what was asked until now. */
	readonly ignoredScripts: () => readonly string[];
}

/** What `--use-config` stores in the working directory: the user's own, with values that may be secrets. */
const CONFIGS: readonly string[] = ['.s2ifile', '.stifile'];
const MAX_IGNORE = 1024 * 1024;
const SCRIPTS = /^\.(?:s2i|sti)(?:\/bin(?:\/[^/]+)?)?$/;

/**
 * The `.s2iignore` in the directory `root` and `isExcluded` together. S2I applies `.s2iignore` after it installed the scripts of the
 * source, so `.s2i/bin/*` and `.sti/bin/*` outlive it here. Throws SOURCE_INVALID for a `.s2iignore` that cannot be used.
 */
export async function readSelection(root: string, isExcluded: Ignore): Promise<Selection> {
	const text = await readSourceFile(root, '.s2iignore', MAX_IGNORE);
	const ignore: Ignore = text === undefined ? () => false : parseIgnore(text);
	const isIgnored: Ignore = (path) => prefixes(path).some(ignore);
	const kept: string[] = [];
	return {
		isExcluded,
		isLeftOut: (path) => isExcluded(path) || CONFIGS.includes(path) || ignore(path),
		omit: (raw) => {
			const path = Buffer.from(raw, 'latin1').toString('utf8');
			if (isExcluded(path) || CONFIGS.includes(path)) return true;
			if (!/^\.s[2t]i\b/.test(path)) return ignore(path);
			if (!isIgnored(path)) return false;
			if (!SCRIPTS.test(path)) return true;
			kept.push(path);
			return false;
		},
		ignoredScripts: () =>
			kept
				.filter(
					(path) =>
						!prefixes(path)
							.slice(0, -1)
							.some((above) => kept.includes(above)),
				)
				.sort(),
	};
}

/** `a`, `a/b`, `a/b/c` for `a/b/c`. */
function prefixes(path: string): readonly string[] {
	const parts = path.split('/');
	return parts.map((_part, index) => parts.slice(0, index + 1).join('/'));
}

import { BuildError, messageOf } from '../errors.js';
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

const MAX_LENGTH = 1000;

/**
 * What `--exclude` leaves out: paths relative to the source, without leading slash, in which the Go regular expression `pattern`
 * matches anywhere; of an excluded directory nothing is asked about what is below it. Undefined is S2I's default `(^|/)\.git(/|$)`,
 * `''` leaves out nothing. Asking takes time that grows linearly with the path: a source that brings the file names cannot stop a
 * build (regular expression denial of service). Throws USAGE for what is not a regular expression and for over 1000 characters.
 */
export async function parseExclude(pattern: string | undefined): Promise<Ignore> {
	if (pattern === undefined) return (path) => path.split('/').includes('.git');
	if (pattern === '') return () => false;
	try {
		if (pattern.length > MAX_LENGTH) throw new SyntaxError(`it has more than ${MAX_LENGTH} characters`);
		const { RE2JS } = await import('re2js');
		const compiled = RE2JS.compile(pattern);
		return (path) => compiled.test(path);
	} catch (cause) {
		const shown = JSON.stringify(pattern.slice(0, 100));
		throw new BuildError('USAGE', `--exclude ${shown} is not a regular expression: ${messageOf(cause)}`, {
			hint: 'Use the syntax of Go (RE2) on paths relative to the source, such as (^|/)node_modules(/|$).',
			cause,
		});
	}
}

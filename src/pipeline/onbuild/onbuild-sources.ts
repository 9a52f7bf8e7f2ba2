import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../../errors.js';
import { type RawPath, rawPath } from '../../root-path.js';
import { goMatch } from '../../source/match.js';

/**
 * The raw paths below `root` that the clean, relative pattern of a COPY or ADD means, in byte order. A pattern without `*`, `?`, `[` or
 * backslash is a path and not looked for. Links on the way are not followed, as they could lead anywhere. Throws SOURCE_NOT_FOUND
 * when a pattern matches nothing.
 */
export async function expandSource(root: string, pattern: string): Promise<readonly RawPath[]> {
	if (!/[*?[\\]/.test(pattern)) return [rawPath(pattern)];
	let found: readonly string[] = [''];
	for (const part of pattern.split('/')) {
		const matched = await Promise.all(found.map((path) => matching(root, path, part)));
		found = matched.flat();
	}
	if (found.length > 0) return found.map(rawPath).sort();
	throw new BuildError(
		'SOURCE_NOT_FOUND',
		`the source has nothing that is called ${JSON.stringify(pattern.slice(0, 200))}`,
		{
			hint: 'The builder image wants to copy it (ONBUILD). Add it to the source (.s2iignore may leave it out), or use another image.',
		},
	);
}

async function matching(root: string, path: string, part: string): Promise<readonly string[]> {
	const directory = join(root, path);
	if (!(await lstat(directory)).isDirectory()) return [];
	const names = await readdir(directory);
	return names.filter((name) => goMatch(part, name) === true).map((name) => (path === '' ? name : `${path}/${name}`));
}

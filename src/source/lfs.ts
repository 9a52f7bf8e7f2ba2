import { findProgram } from '../program.js';
import { type Git, nameSome } from './git.js';

const POINTER = '^version https://git-lfs.github.com/spec/v1';

/**
 * `git` so that it puts the contents of Git LFS files in place of pointers, when git-lfs is on this host. What the user's own
 * configuration says of LFS, for example to skip it, counts more.
 */
export async function withLfs(
	git: Git,
	env: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly git: Git; readonly isInstalled: boolean }> {
	const program = findProgram('git-lfs', env['PATH']);
	if (program === undefined) return { git, isInstalled: false };
	const configured = await git('/', ['config', '--get-regexp', '^filter\\.lfs\\.']);
	if (configured.ok) return { git, isInstalled: true };
	const quoted = `'${program.replaceAll("'", `'\\''`)}'`;
	const programs = [`process=${quoted} filter-process`, `smudge=${quoted} smudge -- %f`, `clean=${quoted} clean -- %f`];
	const settings = [...programs, 'required=true'].flatMap((setting) => ['-c', `filter.lfs.${setting}`]);
	return { git: (cwd, args, input) => git(cwd, [...settings, ...args], input), isInstalled: true };
}

/** The files in `checkout` that are pointers of Git LFS (git-lfs docs/spec.md); `options` are of git grep. */
export async function listPointers(
	git: Git,
	checkout: string,
	options: readonly string[] = [],
): Promise<readonly string[]> {
	const attributes = ['.gitattributes', '**/.gitattributes'].map((path) => `:(glob)${path}`);
	const uses = await git(checkout, ['grep', '--quiet', ...options, '-e', 'filter=lfs', '--', ...attributes]);
	if (!uses.ok) return [];
	const found = await git(checkout, ['grep', '-l', '-z', ...options, '-e', POINTER]);
	return found.stdout.split('\0').filter((name) => name !== '');
}

/** The sentence for pointers that are built as they are. */
export function pointersBuilt(pointers: readonly string[], isInstalled: boolean): string {
	const why = isInstalled ? 'git-lfs is told to skip them' : 'install git-lfs to build what they stand for';
	return `Git LFS pointers are built instead of files (${nameSome(pointers)}); ${why}`;
}

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { fsPath, latin1Path, nameIn, printablePath, type RawPath, rawPath } from '../root-path.js';
import { isInside } from './context-dir.js';
import type { Git } from './git.js';
import { absoluteFrom } from './local-repository.js';
import type { OpenedRepository } from './private-repository.js';

/** A file that is a pointer of Git LFS in the index; `oid` and `size` (bytes) are of the content that it stands for. */
interface Pointer {
	readonly path: RawPath;
	readonly oid: string;
	readonly size: number;
}

/** git-lfs docs/spec.md: pointers are shorter. */
const MAX_POINTER_BYTES = 1024;
/** What git says of more memory at once than GIT_ALLOC_LIMIT; it reads a .gitignore as a whole. */
const OVER_LIMIT = /attempting to allocate|out of memory/i;
/** How long git may be at it before its working tree is looked at, and altogether. */
const [LOOK_MS, LIMIT_MS] = [2000, 60_000];
const POINTER =
	/^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n/;

/**
 * A signal that is aborted when git waits for ever in `directory`, or would take more than a minute. Git opens some files without looking
 * at what they are (.gitignore and .gitattributes, HEAD of a repository in the working tree), and waits for a writer where one is a FIFO.
 */
function patienceWith(directory: string): Disposable & { readonly signal: AbortSignal } {
	const waits = new AbortController();
	const look = () => void holdsPipe(directory, waits.signal).then((found) => found && waits.abort());
	const timers = [setTimeout(look, LOOK_MS), setTimeout(() => waits.abort(), LIMIT_MS)];
	return {
		signal: waits.signal,
		[Symbol.dispose]: () => {
			for (const timer of timers) clearTimeout(timer);
			waits.abort();
		},
	};
}

function settingsTooLarge(workTree: string): BuildError {
	const shown = JSON.stringify(redact(workTree).slice(0, 300));
	return new BuildError('SOURCE_INVALID', `a .gitignore or .gitattributes in ${shown} is too large for git to read`, {
		hint: 'Remove it: such files hold a few lines.',
	});
}

async function holdsPipe(directory: string, stop: AbortSignal): Promise<boolean> {
	const pending = [rawPath(directory)];
	for (let here = pending.pop(); here !== undefined && !stop.aborted; here = pending.pop()) {
		const place = here;
		const entries = await readdir(fsPath(place), { withFileTypes: true, encoding: 'latin1' }).catch(() => []);
		if (entries.some((entry) => entry.isFIFO())) return true;
		for (const entry of entries) if (entry.isDirectory()) pending.push(nameIn(place, entry.name));
	}
	return false;
}

/**
 * What is in the working tree of a local repository but not in its commit, submodules aside; nothing when that cannot be found out, which
 * a notice tells where git waits for a FIFO, or for more than a minute. The index of the repository is read and not written. Throws
 * SOURCE_INVALID for settings in the working tree that are too large.
 */
export async function listChanges(
	{ repository, gitFor, setting, roots }: OpenedRepository,
	emitNotice: (message: string) => void,
): Promise<readonly string[]> {
	const { workTree, gitDirectory } = repository;
	if (workTree === undefined) return [];
	const elsewhere = setting('core.worktree');
	const place = elsewhere === undefined ? workTree : absoluteFrom(gitDirectory, elsewhere);
	const real = await realpath(place).catch(() => undefined);
	if (real === undefined || !roots.some((root) => isInside(real, root))) return [];
	const options = ['--porcelain', '-z', '--no-renames', '--untracked-files=normal', '--ignore-submodules=all'];
	const index = join(gitDirectory, 'index');
	const git = gitFor(place, index);
	using patience = patienceWith(real);
	const asked = gitFor(place, index, patience.signal)(workTree, ['--no-optional-locks', 'status', ...options]);
	const status = await asked.catch(() => undefined);
	if (patience.signal.aborted)
		emitNotice(
			`git does not get through ${printablePath(rawPath(workTree))}: whether something is not committed, and so not built, is not known`,
		);
	if (status?.ok === false && OVER_LIMIT.test(status.stderr)) throw settingsTooLarge(workTree);
	if (status?.ok !== true) return [];
	const lines = status.bytes.toString('latin1').split('\0').filter(Boolean);
	const modified = lines.filter((line) => line.startsWith(' M ')).map((line) => latin1Path(line.slice(3)));
	const same = new Set(await findUnchanged(git, place, modified));
	const changed = lines.map((line) => latin1Path(line.slice(3))).filter((path) => !same.has(path));
	return changed.map(printablePath);
}

/**
 * Those of `modified` that hold just what their Git LFS pointers stand for. No filter is in effect here, so where git cannot tell by a
 * file's times, as in a checkout of this very second or from a cache, it compares the content with the pointer.
 */
async function findUnchanged(git: Git, place: string, modified: readonly RawPath[]): Promise<readonly RawPath[]> {
	const unchanged: RawPath[] = [];
	for (const { path, oid, size } of await readPointers(git, place, await findFiltered(git, place, modified))) {
		const file = fsPath(nameIn(rawPath(place), path));
		const found = await stat(file).catch(() => undefined);
		if (found?.isFile() === true && found.size === size && (await sha256Of(file)) === oid) unchanged.push(path);
	}
	return unchanged;
}

async function findFiltered(git: Git, place: string, paths: readonly RawPath[]): Promise<readonly RawPath[]> {
	if (paths.length === 0) return [];
	const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
	const listed = await git(place, ['check-attr', '-z', '--stdin', 'filter'], input);
	const fields = listed.bytes.toString('latin1').split('\0');
	const filtered = new Set(fields.filter((_field, index) => index % 3 === 0 && fields[index + 2] === 'lfs'));
	// Names with line breaks cannot be asked for below.
	return paths.filter((path) => filtered.has(path) && !path.includes('\n'));
}

async function readPointers(git: Git, place: string, paths: readonly RawPath[]): Promise<readonly Pointer[]> {
	const ask = (mode: string, names: readonly RawPath[]) =>
		git(place, ['cat-file', mode], Buffer.from(names.map((path) => `:${path}\n`).join(''), 'latin1'));
	if (paths.length === 0) return [];
	const sizes = (await ask('--batch-check=%(objectsize)', paths)).stdout.split('\n');
	const small = paths.filter((_path, index) => Number(sizes[index]) <= MAX_POINTER_BYTES);
	const contents = small.length === 0 ? '' : (await ask('--batch=%(objectsize)', small)).bytes.toString('latin1');
	let at = 0;
	return small.flatMap((path) => {
		const header = contents.indexOf('\n', at) + 1;
		const end = header + Number(contents.slice(at, header));
		const [, oid, size] = POINTER.exec(contents.slice(header, end)) ?? [];
		at = end + 1;
		return oid === undefined ? [] : [{ path, oid, size: Number(size) }];
	});
}

async function sha256Of(file: string | Buffer): Promise<string | undefined> {
	const hash = createHash('sha256');
	try {
		await pipeline(createReadStream(file), hash);
		return hash.digest('hex');
	} catch {
		return undefined;
	}
}

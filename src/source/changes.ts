import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fsPath, latin1Path, nameIn, printablePath, type RawPath, rawPath } from '../root-path.js';
import { isInside } from './confine.js';
import type { Git } from './git.js';
import type { OpenedRepository } from './private-repository.js';

/** A file that is a pointer of Git LFS in the index; `oid` and `size` (bytes) are of the content that it stands for. */
interface Pointer {
	readonly path: RawPath;
	readonly oid: string;
	readonly size: number;
}

/** git-lfs docs/spec.md: pointers are shorter. */
const MAX_POINTER_BYTES = 1024;
const POINTER =
	/^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n/;

/**
 * What is in the working tree of a local repository but not in its commit, submodules aside; nothing when that cannot be found out. The
 * index of the repository is read and not written.
 */
export async function listChanges({
	repository,
	gitFor,
	setting,
	roots,
}: OpenedRepository): Promise<readonly string[]> {
	const { workTree, gitDirectory } = repository;
	if (workTree === undefined) return [];
	const elsewhere = setting('core.worktree');
	const place = elsewhere === undefined ? workTree : absoluteFrom(gitDirectory, elsewhere);
	const real = await realpath(place).catch(() => undefined);
	if (real === undefined || !roots.some((root) => isInside(real, root))) return [];
	const options = ['--porcelain', '-z', '--no-renames', '--untracked-files=normal', '--ignore-submodules=all'];
	const git = gitFor(place, join(gitDirectory, 'index'));
	const status = await git(workTree, ['--no-optional-locks', 'status', ...options]).catch(() => undefined);
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

function absoluteFrom(directory: string, path: string): string {
	return isAbsolute(path) ? path : resolve(directory, path);
}

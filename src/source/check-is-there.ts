import { constants, type Stats } from 'node:fs';
import { lstat, open, readlink, realpath } from 'node:fs/promises';
import { BuildError } from '../errors.js';
import { fsPath, latin1Path, nameIn, printablePath, type RawPath, rawPath } from '../root-path.js';
import type { IndexEntry } from './checkout.js';
import { isInside } from './context-dir.js';
import type { LocalRepository } from './local-repository.js';

type Path = string | Buffer;

const CHUNK = 1024 * 1024;
const SUBMODULE = '160000';

/**
 * Throws `refusal` unless each of `entries`, which was checked out into `directory`, is in the working tree with the same content, not by
 * way of a link. Wherever the objects came from, nothing is built then that whoever made the source did not have.
 */
export async function checkIsThere(
	{ workTree }: LocalRepository,
	directory: string,
	entries: readonly IndexEntry[],
	refusal: BuildError,
): Promise<void> {
	if (workTree === undefined) throw refusal;
	const isReached = await withoutLinks(workTree);
	for (const { path } of entries.filter(({ mode }) => mode !== SUBMODULE)) {
		const name = latin1Path(path);
		const made = fsPath(nameIn(rawPath(directory), name));
		const found = await statOf(made);
		if (found === undefined) continue;
		const isThere = (await isReached(name)) && (await isSame(made, found, fsPath(nameIn(rawPath(workTree), name))));
		if (!isThere) throw notThere(name, refusal);
	}
}

/** Whether the directory of a file is where its name says, so that no link leads out of `root`. */
async function withoutLinks(root: string): Promise<(name: RawPath) => Promise<boolean>> {
	const real = await realpath(root);
	const known = new Map<string, Promise<boolean>>();
	const look = async (directory: string): Promise<boolean> => {
		const path = fsPath(nameIn(rawPath(root), latin1Path(directory)));
		const target = await realpath(path).catch(() => undefined);
		return target !== undefined && isInside(target, real);
	};
	return (name) => {
		const directory = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '.';
		const found = known.get(directory) ?? look(directory);
		known.set(directory, found);
		return found;
	};
}

async function isSame(made: Path, expected: Stats, there: Path): Promise<boolean> {
	const found = await statOf(there);
	if (found === undefined) return false;
	if (expected.isSymbolicLink()) {
		if (!found.isSymbolicLink()) return false;
		const [one, other] = await Promise.all([made, there].map((path) => readlink(path, 'buffer')));
		return one !== undefined && other?.equals(one) === true;
	}
	return (
		expected.isFile() &&
		found.isFile() &&
		found.size === expected.size &&
		(await haveSameBytes(made, there).catch(() => false))
	);
}

async function haveSameBytes(one: Path, other: Path): Promise<boolean> {
	await using first = await open(one);
	await using second = await open(other, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
	const [mine, its] = [Buffer.alloc(CHUNK), Buffer.alloc(CHUNK)];
	for (;;) {
		const [{ bytesRead }, read] = await Promise.all([first.read(mine), second.read(its)]);
		if (bytesRead !== read.bytesRead || !mine.subarray(0, bytesRead).equals(its.subarray(0, bytesRead))) return false;
		if (bytesRead === 0) return true;
	}
}

async function statOf(path: Path): Promise<Stats | undefined> {
	return lstat(path).catch(() => undefined);
}

function notThere(name: RawPath, { code, message, hint, cause }: BuildError): BuildError {
	const file = JSON.stringify(printablePath(name).slice(0, 200));
	return new BuildError(code, `${message}, and ${file} of its commit is not in the source as it was committed`, {
		...(hint !== undefined && { hint }),
		cause,
	});
}

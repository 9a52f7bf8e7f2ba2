import { type Dirent, type Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';

const [KIB, MIB, GIB] = [1024, 1024 ** 2, 1024 ** 3];
/** Far above what repositories with a million files and refs have. */
const LIMITS: readonly (readonly [name: string, bytes: number])[] = [
	['HEAD', 64 * KIB],
	['config', 8 * MIB],
	['packed-refs', 256 * MIB],
	['shallow', 64 * MIB],
	['index', 2 * GIB],
	['info/exclude', 64 * MIB],
	['info/attributes', 64 * MIB],
	['info/grafts', 64 * MIB],
	['reftable/tables.list', MIB],
	['objects/info/alternates', MIB],
	['objects/info/commit-graphs/commit-graph-chain', MIB],
];
const MAX_REF = 64 * KIB;

/** What is looked at of a local repository, whose common directory is the same as the other but for worktrees. */
interface Places {
	readonly path: string;
	readonly gitDirectory: string;
	readonly commonDirectory: string;
}

/**
 * Throws SOURCE_INVALID for a file of a repository that git or we would read as a whole, and that is larger than any such file is: a hole of
 * 20 GB costs whoever made the source nothing, and whoever reads it 20 GB of memory.
 */
export async function checkSizes({ path, gitDirectory, commonDirectory }: Places): Promise<void> {
	for (const directory of new Set([gitDirectory, commonDirectory])) {
		for (const [name, limit] of LIMITS) await checkSize(path, join(directory, name), limit);
		await checkRefs(path, join(directory, 'refs'));
	}
}

/** SOURCE_INVALID for the file `file` of the repository `path`. */
export function tooLarge(path: string, file: string, limit: number): BuildError {
	const shown = [path, file].map((each) => JSON.stringify(redact(each).slice(0, 300)));
	const message = `the git repository ${shown[0]} cannot be read: its file ${shown[1]} is larger than ${formatLimit(limit)}`;
	return new BuildError('SOURCE_INVALID', message, {
		hint: 'Check the repository with git fsck, build a clone of it, or the directory as it is with --copy.',
	});
}

async function checkSize(path: string, file: string, limit: number): Promise<void> {
	const found = await statOf(file);
	if (found?.isFile() === true && found.size > limit) throw tooLarge(path, file, limit);
}

async function checkRefs(path: string, refs: string): Promise<void> {
	const seen = new Set<string>();
	const pending = [refs];
	for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
		const directory = await realpath(next).catch(() => undefined);
		if (directory === undefined || seen.has(directory)) continue;
		seen.add(directory);
		for (const entry of await entriesOf(directory)) {
			const found = join(directory, entry.name);
			if (entry.isDirectory() || (entry.isSymbolicLink() && (await statOf(found))?.isDirectory() === true)) {
				pending.push(found);
			} else await checkSize(path, found, MAX_REF);
		}
	}
}

/** None for what is no directory, or not ours to read, which whoever reads it says. */
async function entriesOf(directory: string): Promise<readonly Dirent[]> {
	return readdir(directory, { withFileTypes: true }).catch(() => []);
}

async function statOf(file: string): Promise<Stats | undefined> {
	return stat(file).catch(() => undefined);
}

function formatLimit(bytes: number): string {
	return bytes < MIB ? `${bytes / KIB} KiB` : `${bytes / MIB} MiB`;
}

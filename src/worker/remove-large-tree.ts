import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { removeTree } from '../remove-tree.js';
import { fsPath, nameIn, type RawPath } from '../root-path.js';

/** From so many directories on, a second thread is worth its start. */
const MANY = 256;

/** Like {@link removeTree}, in two threads when there is much to remove. */
export async function removeLargeTree(path: RawPath): Promise<void> {
	const parts = availableParallelism() > 1 ? findParts(path) : [];
	if (parts.length >= MANY) {
		const [ours, theirs] = [0, 1].map((half) => parts.filter((_, index) => index % 2 === half));
		const done = removeElsewhere(theirs ?? []);
		for (const part of ours ?? []) removeTree(part);
		await done;
	}
	removeTree(path);
}

/** Directories below `path`, none in another: those at the least depth that has enough of them, or all at the last one. */
function findParts(path: RawPath): readonly RawPath[] {
	let level: readonly RawPath[] = [path];
	while (level.length > 0 && level.length < MANY) level = level.flatMap(directoriesIn);
	return level;
}

/** None where it cannot be read. */
function directoriesIn(path: RawPath): readonly RawPath[] {
	try {
		const entries = readdirSync(fsPath(path), { withFileTypes: true, encoding: 'latin1' });
		return entries.filter((entry) => entry.isDirectory()).map(({ name }) => nameIn(path, name));
	} catch {
		return [];
	}
}

function removeElsewhere(paths: readonly RawPath[]): Promise<void> {
	const thread = new Worker(new URL('./remove-thread.js', import.meta.url), { workerData: paths });
	return new Promise((resolve) => {
		thread.on('error', () => undefined);
		thread.on('exit', () => resolve());
	});
}

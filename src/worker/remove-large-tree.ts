import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { attempt } from '../errors.js';
import { removeBeneath, removeTree } from '../remove-tree.js';
import { fsPath, latin1Path, nameIn, type RawPath } from '../root-path.js';

/** From so many directories on, a second thread is worth its start. */
const MANY = 256;

/** Like {@link removeTree}, in two threads when there is much to remove. */
export async function removeLargeTree(path: RawPath): Promise<void> {
	const root = latin1Path(path.slice(0, path.lastIndexOf('/')));
	const parts = availableParallelism() > 1 ? findParts(root, latin1Path(path.slice(root.length + 1))) : [];
	if (parts.length >= MANY) {
		const [ours, theirs] = [0, 1].map((half) => parts.filter((_, index) => index % 2 === half));
		const done = removeElsewhere(root, theirs ?? []);
		for (const part of ours ?? []) removeBeneath(root, part);
		await done;
	}
	removeTree(path);
}

/** Directories below `path` in `root`, none in another: those at the least depth that has enough of them, or all at the last one. */
function findParts(root: RawPath, path: RawPath): readonly RawPath[] {
	let level: readonly RawPath[] = [path];
	while (level.length > 0 && level.length < MANY) level = level.flatMap((each) => directoriesIn(root, each));
	return level;
}

/** None where it cannot be read. */
function directoriesIn(root: RawPath, path: RawPath): readonly RawPath[] {
	const list = () => readdirSync(fsPath(nameIn(root, path)), { withFileTypes: true, encoding: 'latin1' });
	return (attempt(list) ?? []).filter((entry) => entry.isDirectory()).map(({ name }) => nameIn(path, name));
}

function removeElsewhere(root: RawPath, paths: readonly RawPath[]): Promise<void> {
	const thread = new Worker(new URL('./remove-thread.js', import.meta.url), { workerData: { root, paths } });
	return new Promise((resolve) => {
		thread.on('error', () => undefined);
		thread.on('exit', () => resolve());
	});
}

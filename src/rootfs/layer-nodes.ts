import { childOf, ROOT, type RootPath } from '../root-path.js';
import type { FileEntry, LayerEntry } from './tree.js';

/** A name in a layer that may have names below it, or whose entry is more than numbers. */
export interface Node {
	entry: LayerEntry;
	/** Undefined where there is none, as in all that is no directory. */
	children: Map<string, Child> | undefined;
}

/** Most of a layer are plain files, of which there may be a million: each is the number of a row in a table. */
export type Child = Node | number;

/** Plain files: each a row of numbers in place of an object. */
export interface FileTable {
	readonly add: (entry: FileEntry) => number;
	readonly get: (row: number) => FileEntry;
}

/** What a plain file has. */
const COLUMNS = 5;
const FIRST_ROWS = 256;
/** A shorter part of a string is copied by V8 itself; a longer one keeps all of the string. */
const SHORTEST_SLICE = 13;

export function createFileTable(): FileTable {
	let numbers = new Float64Array(COLUMNS * FIRST_ROWS);
	let rows = 0;
	return {
		add: ({ mode, uid, gid, mtime, size }) => {
			if (COLUMNS * rows === numbers.length) {
				const larger = new Float64Array(2 * numbers.length);
				larger.set(numbers);
				numbers = larger;
			}
			numbers.set([mode, uid, gid, mtime, size], COLUMNS * rows);
			return rows++;
		},
		get: (row) => {
			const [mode = 0, uid = 0, gid = 0, mtime = 0, size = 0] = numbers.subarray(COLUMNS * row, COLUMNS * (row + 1));
			return { mode, uid, gid, mtime, type: 'file', size };
		},
	};
}

export function entryOf(child: Child, files: FileTable): LayerEntry {
	return typeof child === 'number' ? files.get(child) : child.entry;
}

/** What may have names below it; undefined for a plain file. */
export function nodeOf(child: Child | undefined): Node | undefined {
	return typeof child === 'number' ? undefined : child;
}

/** `entry`, with nothing below it. */
export function childFor(entry: LayerEntry, files: FileTable): Child {
	const isPlain = entry.type === 'file' && entry.xattrs === undefined && entry.linkOf === undefined;
	return isPlain ? files.add(entry) : { entry, children: undefined };
}

export function addChild(parent: Node, name: string, child: Child): void {
	parent.children ??= new Map();
	parent.children.set(name.length < SHORTEST_SLICE ? name : Buffer.from(name, 'latin1').toString('latin1'), child);
}

/** The directories at and below the root directory `root`, parents before children. */
export function collectDirectories(root: Node): readonly (readonly [RootPath, LayerEntry])[] {
	const found: (readonly [RootPath, LayerEntry])[] = [];
	const pending: (readonly [RootPath, Node])[] = [[ROOT, root]];
	for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
		const [path, { entry, children }] = next;
		found.push([path, entry]);
		for (const [name, child] of children ?? []) {
			const node = nodeOf(child);
			if (node?.entry.type === 'directory') pending.push([childOf(path, name), node]);
		}
	}
	return found;
}

export function countNodes(root: Node): number {
	let count = 0;
	const pending: Child[] = [root];
	for (let child = pending.pop(); child !== undefined; child = pending.pop()) {
		count++;
		for (const below of nodeOf(child)?.children?.values() ?? []) pending.push(below);
	}
	return count;
}

/** What is still to come: one entry, or all below it, whose place is that of its name with a slash. */
interface Step {
	readonly key: string;
	readonly path: RootPath;
	readonly child: Child;
	readonly isBelow: boolean;
}

/** All entries at and below the root directory `root`, in byte order of the whole path, in which "a-b" comes between "a" and "a/b". */
export function* inOrder(root: Node, files: FileTable): Generator<readonly [RootPath, LayerEntry], void, undefined> {
	yield [ROOT, root.entry];
	const pending = stepsBelow(ROOT, root);
	for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
		const { path, child, isBelow } = next;
		if (!isBelow) yield [path, entryOf(child, files)];
		else for (const step of stepsBelow(path, child)) pending.push(step);
	}
}

/** The last comes first. */
function stepsBelow(directory: RootPath, parent: Child): Step[] {
	const steps: Step[] = [];
	for (const [name, child] of nodeOf(parent)?.children ?? []) {
		const path = childOf(directory, name);
		steps.push({ key: name, path, child, isBelow: false });
		if (nodeOf(child)?.children !== undefined) steps.push({ key: `${name}/`, path, child, isBelow: true });
	}
	return steps.sort((a, b) => (a.key < b.key ? 1 : -1));
}

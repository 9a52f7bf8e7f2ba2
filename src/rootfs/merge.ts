import { parentOf, ROOT, type RootPath } from '../root-path.js';
import type { Entry, LayerEntry } from './tree.js';

/** A path of the base image, and which of its layers (0 is the lowest) holds its content. */
export interface BaseEntry {
	readonly entry: Entry;
	readonly layer: number;
}

/** The base image as declared, as a whole. */
export type WholeTree = ReadonlyMap<RootPath, BaseEntry>;

/** The base image as declared: what the diff compares with. `keys` may take as long as reading all of it. */
export type BaseTree = Pick<WholeTree, 'get' | 'has' | 'keys'>;

type Layer = readonly (readonly [RootPath, LayerEntry])[];

/** The layers of an image applied lowest first (image-spec v1.1 layer.md#applying-changesets). */
export function mergeLayers(layers: readonly Layer[]): WholeTree {
	const tree = new Map<RootPath, BaseEntry>();
	for (const [number, layer] of layers.entries()) {
		dropHidden(tree, layer);
		for (const [path, entry] of layer) {
			if (entry.type === 'whiteout') continue;
			const below = tree.get(path)?.entry;
			const shines = entry.type === 'directory' && entry.implicit === true && below?.type === 'directory';
			if (!shines) tree.set(path, { entry, layer: number });
		}
	}
	return tree;
}

/** Implicit directories that, on disk, hide the attributes a lower layer declared for them. */
export function hiddenDirectories(layers: readonly Layer[]): readonly RootPath[] {
	const implicit = new Set<RootPath>();
	for (const layer of layers) {
		for (const [path, entry] of layer) {
			if (entry.type !== 'directory' || path === ROOT) continue;
			if (entry.implicit === true) implicit.add(path);
			else implicit.delete(path);
		}
	}
	return [...implicit];
}

function dropHidden(tree: Map<RootPath, BaseEntry>, layer: Layer): void {
	const gone = new Set(layer.filter(([, entry]) => entry.type === 'whiteout').map(([path]) => path));
	const emptied = new Set(layer.filter(([path, entry]) => empties(entry, tree.get(path)?.entry)).map(([path]) => path));
	if (gone.size === 0 && emptied.size === 0) return;
	const isHidden = createIsBelow((path) => gone.has(path) || emptied.has(path));
	for (const path of tree.keys()) if (gone.has(path) || isHidden(path)) tree.delete(path);
}

/** Whether nothing of what was below the path stays: a directory became something else, or hides what it held. */
function empties(entry: LayerEntry, below: Entry | undefined): boolean {
	if (entry.type === 'directory') return entry.opaque === true;
	return entry.type !== 'whiteout' && below?.type === 'directory';
}

/** Whether a path has an ancestor that `hides`. Each directory is asked about once, however much is below it and however deep it is. */
function createIsBelow(hides: (path: RootPath) => boolean): (path: RootPath) => boolean {
	const known = new Map<RootPath, boolean>([[ROOT, hides(ROOT)]]);
	return (path) => {
		if (path === ROOT) return false;
		const unknown: RootPath[] = [];
		let up = parentOf(path);
		for (; !known.has(up); up = parentOf(up)) unknown.push(up);
		let hidden = known.get(up) === true;
		for (const directory of unknown.reverse()) {
			hidden ||= hides(directory);
			known.set(directory, hidden);
		}
		return hidden;
	};
}

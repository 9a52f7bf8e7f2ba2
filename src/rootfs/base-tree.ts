import { parentOf, ROOT, type RootPath } from '../root-path.js';
import type { LayerLookup } from './layer-lookup.js';
import type { BaseEntry, BaseTree } from './merge.js';
import type { LayerEntry } from './tree.js';

/**
 * The tree that {@link mergeLayers} makes of the same layers, lowest first, looked up path by path. `whole` is that tree, made only for
 * whoever wants all paths.
 */
export function lookUpTree(layers: readonly LayerLookup[], whole: () => BaseTree): BaseTree {
	const known = new Map<RootPath, BaseEntry | undefined>();
	const hiding = layers.map(({ find }) => createHiding(find));
	const find = (path: RootPath): BaseEntry | undefined => {
		// Nobody declared it yet: what a lower layer declares for it shines through, down to what is no directory.
		let implicit: BaseEntry | undefined;
		for (let layer = layers.length - 1; layer >= 0; layer--) {
			const entry = layers[layer]?.find(path);
			if (entry?.type === 'whiteout') break;
			if (entry !== undefined && !isImplied(entry)) return shown({ entry, layer }, implicit);
			if (entry !== undefined) implicit = { entry, layer };
			if (hiding[layer]?.(path) === true) break;
		}
		return implicit;
	};
	const get = (path: RootPath) => {
		if (!known.has(path)) known.set(path, find(path));
		return known.get(path);
	};
	return { get, has: (path) => get(path) !== undefined, keys: () => whole().keys() };
}

function isImplied(entry: LayerEntry): boolean {
	return entry.type === 'directory' && entry.implicit === true;
}

/** A directory that upper layers imply is there in place of what is none. */
function shown(found: BaseEntry, implicit: BaseEntry | undefined): BaseEntry {
	return found.entry.type === 'directory' ? found : (implicit ?? found);
}

/** Whether a layer hides what lower ones have at a path, by what it has above it. Each directory is looked up once. */
function createHiding(find: (path: RootPath) => LayerEntry | undefined): (path: RootPath) => boolean {
	const known = new Map<RootPath, boolean>();
	const hidesBelow = (directory: RootPath): boolean => {
		const before = known.get(directory);
		if (before !== undefined) return before;
		const entry = find(directory);
		const hides = entry !== undefined && (entry.type !== 'directory' || entry.opaque === true);
		const result = hides || (directory !== ROOT && hidesBelow(parentOf(directory)));
		known.set(directory, result);
		return result;
	};
	return (path) => path !== ROOT && hidesBelow(parentOf(path));
}

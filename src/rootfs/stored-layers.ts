import { lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { errnoOf } from '../errors.js';
import { type Digest, isDigest } from '../oci/digest.js';
import { fsPath, nameIn, type RawPath, rawPath } from '../root-path.js';

/** A layer as it lies in the store. */
export interface StoredLayer {
	/** Relative to the store. */
	readonly path: string;
	/** The id mapping under which it was unpacked; `index` for what builds in place keep of a layer, which is its index only. */
	readonly mapping: string;
	readonly diffId: Digest;
	/** What it takes on disk, in bytes. */
	readonly bytes: number;
	/** When a build last asked for it, in ms since 1970. */
	readonly lastUsed: number;
}

const LAYERS = /^layers-\d+$/;
const INDEXES = /^indexes-\d+$/;
const BLOCK = 512;

/** The layers below `store`, of every mapping and format; slow, since it looks at every file. Throws when `signal` is aborted. */
export async function listLayers(store: string, signal: AbortSignal): Promise<readonly StoredLayer[]> {
	const layers: StoredLayer[] = [];
	for (const { directory, mapping } of layerDirectories(store)) {
		for (const name of listDirectory(rawPath(join(store, directory)))) {
			const path = join(directory, name);
			const diffId = diffIdOf(name);
			const lastUsed = lastUseOf(join(store, path));
			if (diffId === undefined || lastUsed === undefined) continue;
			layers.push({ path, mapping, diffId, bytes: diskUse(rawPath(join(store, path))), lastUsed });
			await pause();
			signal.throwIfAborted();
		}
	}
	return layers;
}

/** Whether `name`, directly in the store, is where layers are. */
export function holdsLayers(name: string): boolean {
	return LAYERS.test(name) || INDEXES.test(name);
}

function layerDirectories(store: string): readonly { readonly directory: string; readonly mapping: string }[] {
	return listDirectory(rawPath(store)).flatMap((format) => {
		if (INDEXES.test(format)) return { directory: format, mapping: 'index' };
		const mappings = LAYERS.test(format) ? listDirectory(rawPath(join(store, format))) : [];
		return mappings.map((mapping) => ({ directory: join(format, mapping), mapping }));
	});
}

/** When the layer at `path` was last asked for; undefined when it is gone. */
export function lastUseOf(path: string): number | undefined {
	return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

/** What the tree at `path` takes on disk, in bytes; a file with several links counts once. What vanishes meanwhile counts nothing. */
export function diskUse(path: RawPath): number {
	const linked = new Set<string>();
	const pending = [path];
	let bytes = 0;
	for (let raw = pending.pop(); raw !== undefined; raw = pending.pop()) {
		const stats = lstatSync(fsPath(raw), { throwIfNoEntry: false });
		if (stats === undefined) continue;
		if (stats.nlink > 1 && !stats.isDirectory()) {
			const inode = `${stats.dev}:${stats.ino}`;
			if (linked.has(inode)) continue;
			linked.add(inode);
		}
		bytes += stats.blocks * BLOCK;
		if (stats.isDirectory()) for (const name of listDirectory(raw)) pending.push(nameIn(raw, name));
	}
	return bytes;
}

/** Names as raw bytes. */
function listDirectory(path: RawPath): readonly string[] {
	try {
		return readdirSync(fsPath(path), { encoding: 'latin1' });
	} catch (error) {
		if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return [];
		throw error;
	}
}

function diffIdOf(name: string): Digest | undefined {
	return [`sha256:${name}`, `sha512:${name}`].find(isDigest);
}

import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { unlessErrno } from '../errors.js';
import { type Digest, isDigest } from '../oci/digest.js';
import { childOf, fsPath, nameIn, type RawPath, ROOT, type RootPath, rawPath } from '../root-path.js';
import { type Opener, unlessGone, withTree } from './open-tree.js';

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
export async function listLayers(store: string, signal: AbortSignal, libc?: Opener): Promise<readonly StoredLayer[]> {
	const layers: StoredLayer[] = [];
	for (const { directory, mapping } of layerDirectories(store)) {
		for (const name of listDirectory(rawPath(join(store, directory)))) {
			const path = join(directory, name);
			const diffId = diffIdOf(name);
			const lastUsed = lastUseOf(join(store, path));
			if (diffId === undefined || lastUsed === undefined) continue;
			layers.push({ path, mapping, diffId, bytes: diskUse(rawPath(join(store, path)), libc), lastUsed });
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

/**
 * What the tree at `path` takes on disk, in bytes; a file with several links counts once. What vanishes meanwhile, and what may not be
 * read, counts nothing.
 */
export function diskUse(path: RawPath, libc?: Opener): number {
	const stats = lstatSync(fsPath(path), { throwIfNoEntry: false });
	if (stats?.isDirectory() !== true) return (stats?.blocks ?? 0) * BLOCK;
	const linked = new Set<string>();
	const pending: RootPath[] = [ROOT];
	let bytes = stats.blocks * BLOCK;
	const count = (directory: RootPath, disk: RawPath) => {
		for (const name of listDirectory(disk)) {
			const found = lstatSync(fsPath(nameIn(disk, name)), { throwIfNoEntry: false });
			if (found?.isDirectory() === true) pending.push(childOf(directory, name));
			else if (found === undefined || (found.nlink > 1 && !isFirst(found, linked))) continue;
			bytes += found.blocks * BLOCK;
		}
	};
	return withTree(path, libc, (tree) => {
		for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
			const here = directory;
			unlessUnreadable(() => count(here, tree.directory(here)));
		}
		return bytes;
	});
}

/** Whether no other name of the file was counted. */
function isFirst({ dev, ino }: Stats, linked: Set<string>): boolean {
	const inode = `${dev}:${ino}`;
	const isNew = !linked.has(inode);
	linked.add(inode);
	return isNew;
}

/** Names as raw bytes. */
function listDirectory(path: RawPath): readonly string[] {
	return unlessUnreadable(() => readdirSync(fsPath(path), { encoding: 'latin1' })) ?? [];
}

function unlessUnreadable<T>(look: () => T): T | undefined {
	return unlessErrno(['EACCES'], () => unlessGone(look));
}

function diffIdOf(name: string): Digest | undefined {
	return [`sha256:${name}`, `sha512:${name}`].find(isDigest);
}

import { BuildError, errnoOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { latin1Path, parentOf, printablePath, type RawPath, ROOT, type RootPath } from '../root-path.js';
import type { TarEntry } from '../tar/entry.js';
import { createTarReader } from '../tar/reader.js';
import { createIndexBudget, type IndexBudget } from './index-budget.js';
import { type LayerDisk, type LayerDiskOptions, openLayerDisk } from './layer-disk.js';
import type { UnpackedLayer } from './layer-index.js';
import { createLayerTree, type LayerTree, type Placement } from './layer-tree.js';
import type { DirectoryEntry, Entry, LayerEntry } from './tree.js';
import { parseWhiteout, type Whiteout } from './whiteout.js';

export interface UnpackOptions extends LayerDiskOptions {
	/** Most bytes the layer may unpack to (CVE-2026-25122: decompression bombs). */
	readonly maxBytes: number;
	/** Takes the entries instead of the disk at `root`. */
	readonly disk?: LayerDisk;
}

const MAX_ENTRIES = 2_000_000;
const MAX_TARGET = 4095;

/**
 * Unpacks the tar stream `chunks` below `root`. Works synchronously on the file system, so it belongs in a thread of its own, whose
 * process has a umask of at most 022. Throws LAYER_UNSAFE, LAYER_INVALID or HOST_NO_SPACE.
 */
export async function unpackLayer(
	chunks: AsyncIterable<Buffer>,
	options: UnpackOptions,
	signal: AbortSignal,
): Promise<UnpackedLayer> {
	const tree = createLayerTree();
	const { disk = openLayerDisk(options) } = options;
	const reader = createTarReader({
		entry: createEntryWriter(tree, disk),
		data: disk.writeFile,
		close: disk.closeFile,
	});
	let total = 0;
	try {
		for await (const chunk of chunks) {
			signal.throwIfAborted();
			total += chunk.length;
			if (total > options.maxBytes) throw tooLarge(options.maxBytes);
			reader.write(chunk);
		}
		reader.end();
		const directories = tree.directories();
		return { entries: tree.entries(), count: tree.count(), directories, lostXattrs: disk.finish(directories) };
	} catch (error) {
		throw explained(error, options.root);
	} finally {
		disk.abandon();
	}
}

/** Finds the place of a name, and makes the directories that it lacks. */
function createPlacer(tree: LayerTree, disk: LayerDisk, budget: IndexBudget): (name: RawPath) => Placement {
	let count = 0;
	return (name) => {
		const placement = tree.place(name);
		count += 1 + placement.missing.length;
		if (count > MAX_ENTRIES) throw tooMany();
		budget.path(placement.path);
		for (const path of placement.missing) {
			budget.path(path);
			disk.makeImplicit(path);
		}
		return placement;
	};
}

/** Decides what each entry of the stream means for the layer so far. */
function createEntryWriter(tree: LayerTree, disk: LayerDisk): (entry: TarEntry) => void {
	const budget = createIndexBudget();
	const place = createPlacer(tree, disk, budget);
	const setOpaque = (path: RootPath) => {
		const existing = tree.get(path);
		if (existing?.type === 'directory') tree.set(path, { ...existing, opaque: true });
	};
	const hide = (name: RawPath, whiteout: Whiteout) => {
		if (whiteout.type === 'ignored') return;
		if (whiteout.type === 'opaque') {
			setOpaque(parentOf(place(name).path));
			return;
		}
		const directory = name.replace(/\/+$/, '').replace(/[^/]*$/, '');
		const { path, existing } = place(latin1Path(directory + whiteout.name));
		setOpaque(path);
		if (existing !== undefined) return;
		disk.makeWhiteout(path);
		tree.set(path, { type: 'whiteout' });
	};
	const link = (path: RootPath, existing: LayerEntry | undefined, entry: TarEntry) => {
		const target = findTarget(tree, path, entry);
		if (target.path === path) return;
		if (existing !== undefined) disk.clear(path);
		disk.makeLink(path, target.path);
		const { entry: linked } = target;
		tree.set(path, linked.type === 'file' ? { ...linked, linkOf: linked.linkOf ?? target.path } : linked);
	};
	const directory = (path: RootPath, existing: LayerEntry | undefined, entry: TarEntry) => {
		const exists = existing?.type === 'directory';
		const opaque = existing?.type === 'whiteout' || (exists && existing.opaque === true);
		tree.set(path, { ...attributesOf(entry), type: 'directory', ...(opaque && { opaque }) });
		if (path === ROOT) return;
		if (existing !== undefined && !exists) disk.clear(path);
		disk.makeDirectory(path, entry, exists);
	};
	return (entry) => {
		budget.attributes(entry);
		const whiteout = parseWhiteout(entry.path);
		if (whiteout !== undefined) {
			hide(entry.path, whiteout);
			return;
		}
		const { path, existing } = place(entry.path);
		if (path === ROOT && entry.type !== 'directory') throw replacesRoot(entry);
		if (entry.type === 'directory') directory(path, existing, entry);
		else if (entry.type === 'link') link(path, existing, entry);
		else {
			if (existing !== undefined) disk.clear(path);
			tree.set(path, declaredEntry(entry, path));
			make(path, entry, disk);
		}
	};
}

function make(path: RootPath, entry: TarEntry, disk: LayerDisk): void {
	if (entry.type === 'file') disk.openFile(path, entry);
	else if (entry.type === 'symlink') disk.makeSymlink(path, entry);
	else disk.makeSpecial(path, entry);
}

function findTarget(
	tree: LayerTree,
	path: RootPath,
	entry: TarEntry,
): { readonly path: RootPath; readonly entry: Entry } {
	const target = tree.find(entry.linkPath);
	const replaced = target?.path.startsWith(`${path}/`) === true;
	if (target !== undefined && !replaced && target.entry.type !== 'directory' && target.entry.type !== 'whiteout') {
		return { path: target.path, entry: target.entry };
	}
	const names = `"${printablePath(path)}" to "${printablePath(entry.linkPath)}"`;
	throw new BuildError('LAYER_INVALID', `a layer links ${names}, which is no file of the same layer`, {
		hint: 'Rebuild the image: a hard link must come after its target, in the same layer.',
	});
}

function attributesOf(entry: TarEntry): Omit<DirectoryEntry, 'type'> {
	const { mode, uid, gid, mtime, xattrs } = entry;
	return xattrs.size > 0 ? { mode, uid, gid, mtime, xattrs } : { mode, uid, gid, mtime };
}

function declaredEntry(entry: TarEntry, path: RootPath): Entry {
	if (entry.type === 'file') return { ...attributesOf(entry), type: 'file', size: entry.size };
	if (entry.type === 'symlink' && !isLinkTarget(entry.linkPath)) throw badTarget(path);
	if (entry.type === 'symlink') return { ...attributesOf(entry), type: 'symlink', target: entry.linkPath };
	const type = entry.type === 'block' || entry.type === 'fifo' ? entry.type : 'character';
	return { ...attributesOf(entry), type, major: entry.deviceMajor, minor: entry.deviceMinor };
}

/** What symlink(2) takes. */
function isLinkTarget(target: RawPath): boolean {
	return target !== '' && target.length <= MAX_TARGET && !target.includes('\0');
}

function badTarget(path: RootPath): BuildError {
	const message = `a layer has the symlink "${printablePath(path)}", whose target is empty, too long or has a NUL byte`;
	return new BuildError('LAYER_INVALID', message, { hint: 'Rebuild the image.' });
}

function replacesRoot(entry: TarEntry): BuildError {
	return new BuildError('LAYER_UNSAFE', `a layer wants to replace the image's root directory by a ${entry.type}`, {
		hint: 'Do not use this image before you know who made it (CVE-2021-29136).',
	});
}

function tooMany(): BuildError {
	return new BuildError('LAYER_INVALID', `a layer has more than ${String(MAX_ENTRIES)} entries`, {
		hint: 'Do not use this image before you know who made it.',
	});
}

function tooLarge(limit: number): BuildError {
	const message = `a layer unpacks to more than ${String(limit)} bytes, far more than its size allows`;
	return new BuildError('LAYER_UNSAFE', message, {
		hint: 'This looks like a decompression bomb. Do not use this image before you know who made it.',
	});
}

function explained(error: unknown, root: RawPath): unknown {
	const full = noSpace(error, `a layer of the image, below ${printablePath(root)}`);
	if (full !== undefined) return full;
	if (errnoOf(error) !== 'ENAMETOOLONG') return error;
	return new BuildError('LAYER_INVALID', 'a layer has an entry whose path is too long for this host', {
		hint: 'Rebuild the image with shorter paths, or name a store with a shorter path with --store DIR.',
		cause: error,
	});
}

import { BuildError } from '../errors.js';
import { childOf, printablePath, type RawPath, ROOT, type RootPath } from '../root-path.js';
import type { DirectoryEntry, LayerEntry } from './tree.js';

/** Where an entry of a layer really goes. */
export interface Placement {
	/** Its path with every symlink in its parents resolved inside the root. */
	readonly path: RootPath;
	/** Parents that do not exist yet, outermost first; the tree already holds them as implicit directories. */
	readonly missing: readonly RootPath[];
	/** What stands there now. */
	readonly existing: LayerEntry | undefined;
}

/**
 * The entries of one layer while it is being unpacked, and the only thing that resolves its names. Because the directory on disk is
 * private and this tree knows all that was written to it, no name is ever resolved by the kernel through a link that an archive made:
 * `..` is refused, links in parents are followed inside the root, the last part is never followed (CVE-2018-1103, CVE-2020-27833,
 * CVE-2021-29136, CVE-2026-42574).
 */
export interface LayerTree {
	/** Resolves `name` for writing. Throws LAYER_UNSAFE or LAYER_INVALID. */
	readonly place: (name: RawPath) => Placement;
	/** Resolves `name` for a hard link; undefined when nothing is there. */
	readonly find: (name: RawPath) => { readonly path: RootPath; readonly entry: LayerEntry } | undefined;
	/** Records `entry` at a placed path, dropping what was below it unless both are directories. */
	readonly set: (path: RootPath, entry: LayerEntry) => void;
	readonly get: (path: RootPath) => LayerEntry | undefined;
	/** All entries, parents before children, in byte order of the whole path. */
	readonly entries: () => readonly (readonly [RootPath, LayerEntry])[];
}

interface Node {
	entry: LayerEntry;
	readonly children: Map<string, Node>;
}

const MAX_LINKS = 40;
const MAX_NAME = 255;
const MAX_PATH = 4095;
/** Deeper trees overflow the stack of whoever walks them, Node's own rmSync first. */
const MAX_DEPTH = 256;
const IMPLICIT: DirectoryEntry = { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0, implicit: true };

/** An empty layer: just an implicit root directory. */
export function createLayerTree(): LayerTree {
	const root: Node = { entry: IMPLICIT, children: new Map() };
	const get = (path: RootPath) => nodeAt(root, path)?.entry;
	return {
		place: (name) => {
			const parts = partsOf(name);
			const leaf = parts.pop();
			if (leaf === undefined) return { path: ROOT, missing: [], existing: root.entry };
			const missing: RootPath[] = [];
			const parent = walk(root, parts, name, missing);
			return { path: childOf(parent.path, leaf), missing, existing: parent.node.children.get(leaf)?.entry };
		},
		find: (name) => {
			const parts = partsOf(name);
			const leaf = parts.pop();
			if (leaf === undefined) return undefined;
			const parent = walk(root, parts, name, undefined);
			const node = parent?.node.children.get(leaf);
			return parent && node && { path: childOf(parent.path, leaf), entry: node.entry };
		},
		set: (path, entry) => set(root, path, entry),
		get,
		entries: () => {
			const all: (readonly [RootPath, LayerEntry])[] = [];
			collect(root, ROOT, all);
			return all.sort(([a], [b]) => (a < b ? -1 : 1));
		},
	};
}

interface Position {
	readonly node: Node;
	readonly path: RootPath;
}

function walk(root: Node, parts: readonly string[], name: RawPath, missing: RootPath[]): Position;
function walk(root: Node, parts: readonly string[], name: RawPath, missing: undefined): Position | undefined;
function walk(
	root: Node,
	parts: readonly string[],
	name: RawPath,
	missing: RootPath[] | undefined,
): Position | undefined {
	const origin: Position = { node: root, path: ROOT };
	const trail: Position[] = [];
	const pending = [...parts].reverse();
	let links = 0;
	for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
		if (part === '..') {
			trail.pop();
			continue;
		}
		const here = trail.at(-1) ?? origin;
		const child = here.node.children.get(part);
		const target = targetOf(child);
		if (target !== undefined) {
			if (++links > MAX_LINKS) throw unsafe(name, 'its parents are links that never end');
			if (target.startsWith('/')) trail.length = 0;
			pending.push(...splitPath(target).reverse());
			continue;
		}
		const next = directoryAt(here, part, child) ?? (missing && makeDirectory(here, part, name, missing));
		if (next === undefined) return undefined;
		trail.push(next);
		if (trail.length > MAX_DEPTH) throw unsafe(name, `it is more than ${MAX_DEPTH} directories deep`);
	}
	return trail.at(-1) ?? origin;
}

function targetOf(node: Node | undefined): string | undefined {
	return node?.entry.type === 'symlink' ? node.entry.target : undefined;
}

function splitPath(path: string): string[] {
	return path.split('/').filter((part) => part !== '' && part !== '.');
}

function directoryAt(here: Position, part: string, child: Node | undefined): Position | undefined {
	return child?.entry.type === 'directory' ? { node: child, path: childOf(here.path, part) } : undefined;
}

/** A parent that is missing, or that is no directory, is replaced by an implicit directory, as umoci does. */
function makeDirectory(here: Position, part: string, name: RawPath, missing: RootPath[]): Position {
	checkPart(part, name);
	const path = childOf(here.path, part);
	const hidden = here.node.children.get(part)?.entry.type === 'whiteout';
	const node: Node = { entry: hidden ? { ...IMPLICIT, opaque: true } : IMPLICIT, children: new Map() };
	here.node.children.set(part, node);
	missing.push(path);
	return { node, path };
}

function partsOf(name: RawPath): string[] {
	if (name.includes('\0')) throw unsafe(name, 'it has a NUL byte');
	if (name.length > MAX_PATH) throw unsafe(name, 'it is longer than 4095 bytes');
	const parts = splitPath(name);
	for (const part of parts) checkPart(part, name);
	return parts;
}

function checkPart(part: string, name: RawPath): void {
	if (part === '..') throw unsafe(name, 'it leads out of the image');
	if (part.length > MAX_NAME) throw unsafe(name, 'a part of it is longer than 255 bytes');
}

function nodeAt(root: Node, path: RootPath): Node | undefined {
	if (path === ROOT) return root;
	let node: Node | undefined = root;
	for (const part of path.split('/')) node = node?.children.get(part);
	return node;
}

function set(root: Node, path: RootPath, entry: LayerEntry): void {
	if (path === ROOT) {
		root.entry = entry;
		return;
	}
	const slash = path.lastIndexOf('/');
	const parent = nodeAt(root, path.slice(0, Math.max(0, slash)) as RootPath);
	if (parent === undefined) throw new Error(`set before place: ${path}`);
	const name = path.slice(slash + 1);
	const node = parent.children.get(name);
	if (node?.entry.type === 'directory' && entry.type === 'directory') node.entry = entry;
	else parent.children.set(name, { entry, children: new Map() });
}

function collect(node: Node, path: RootPath, into: (readonly [RootPath, LayerEntry])[]): void {
	into.push([path, node.entry]);
	for (const [name, child] of node.children) collect(child, childOf(path, name), into);
}

function unsafe(name: RawPath, reason: string): BuildError {
	return new BuildError('LAYER_UNSAFE', `a layer has the entry "${printablePath(name).slice(0, 200)}": ${reason}`, {
		hint: 'No honest tool writes such an entry. Do not use this image before you know who made it.',
	});
}

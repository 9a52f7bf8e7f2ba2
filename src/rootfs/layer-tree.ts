import { BuildError } from '../errors.js';
import type { RawPath, RootPath } from '../root-path.js';
import { childOf, latin1Path, nameOf, parentOf, partsOf, printablePath, ROOT } from '../root-path.js';
import {
	addChild,
	childFor,
	collectDirectories,
	countNodes,
	createFileTable,
	entryOf,
	type FileTable,
	inOrder,
	type Node,
	nodeOf,
} from './layer-nodes.js';
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
	/** The directories, parents before children. */
	readonly directories: () => readonly (readonly [RootPath, LayerEntry])[];
	/** All entries, parents before children, in byte order of the whole path; made one by one, each time that somebody goes through them. */
	readonly entries: () => Iterable<readonly [RootPath, LayerEntry]>;
	/** How many there are. */
	readonly count: () => number;
}

/** The root directory, and how many parts of links were walked so far. */
interface Root extends Node {
	steps: number;
	readonly files: FileTable;
}

const MAX_LINKS = 40;
/** Parts of links that the names of one layer may lead through. Honest layers have a few for each name. */
const MAX_STEPS = 20_000_000;
const MAX_NAME = 255;
const MAX_PATH = 4095;
/** A last part that is no name, or cannot be one. */
const ODD_PART = /^\.{0,2}$|\0/;
const NONE: readonly RootPath[] = [];
const IMPLICIT: DirectoryEntry = { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0, implicit: true };

/** An empty layer: just an implicit root directory. */
export function createLayerTree(): LayerTree {
	const files = createFileTable();
	const root: Root = { entry: IMPLICIT, children: undefined, steps: 0, files };
	const entryAt = (parent: Node | undefined, name: string): LayerEntry | undefined => {
		const child = parent?.children?.get(name);
		return child === undefined ? undefined : entryOf(child, files);
	};
	/** Where the last name was placed, by its directory as the archive spells it: the next is mostly beside it. */
	let last: { readonly directory: RawPath; readonly position: Position } | undefined;
	const parentAt = (path: RootPath): Node | undefined => {
		const parent = parentOf(path);
		return last?.position.path === parent ? last.position.node : nodeAt(root, parent);
	};
	const placeBeside = (name: RawPath): Placement | undefined => {
		if (last === undefined || name.length > MAX_PATH || directoryPart(name) !== last.directory) return undefined;
		const leaf = name.slice(name.lastIndexOf('/') + 1);
		if (leaf.length > MAX_NAME || ODD_PART.test(leaf)) return undefined;
		const { node, path } = last.position;
		return { path: childOf(path, leaf), missing: NONE, existing: entryAt(node, leaf) };
	};
	return {
		place: (name) => {
			const beside = placeBeside(name);
			if (beside !== undefined) return beside;
			const parts = checkedParts(name);
			const leaf = parts.pop();
			if (leaf === undefined) return { path: ROOT, missing: NONE, existing: root.entry };
			const missing: RootPath[] = [];
			const position = walk(root, parts, name, missing);
			if (name.endsWith(`/${leaf}`) || name === leaf) last = { directory: directoryPart(name), position };
			return { path: childOf(position.path, leaf), missing, existing: entryAt(position.node, leaf) };
		},
		find: (name) => {
			const parts = checkedParts(name);
			const leaf = parts.pop();
			if (leaf === undefined) return undefined;
			const parent = walk(root, parts, name, undefined);
			const entry = entryAt(parent?.node, leaf);
			return parent && entry && { path: childOf(parent.path, leaf), entry };
		},
		set: (path, entry) => {
			const parent = path === ROOT ? undefined : parentAt(path);
			if (path === ROOT) root.entry = entry;
			else if (parent === undefined) throw new Error(`set before place: ${path}`);
			else if (setChild(parent, nameOf(path), entry, files)) last = undefined;
		},
		get: (path) => (path === ROOT ? root.entry : entryAt(parentAt(path), nameOf(path))),
		directories: () => collectDirectories(root),
		entries: () => ({ [Symbol.iterator]: () => inOrder(root, files) }),
		count: () => countNodes(root),
	};
}

function directoryPart(name: RawPath): RawPath {
	return latin1Path(name.slice(0, Math.max(0, name.lastIndexOf('/'))));
}

interface Position {
	readonly node: Node;
	readonly path: RootPath;
}

function walk(root: Root, parts: readonly string[], name: RawPath, missing: RootPath[]): Position;
function walk(root: Root, parts: readonly string[], name: RawPath, missing: undefined): Position | undefined;
function walk(
	root: Root,
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
		const child = childAt(here.node, part);
		const target = targetOf(child);
		if (target !== undefined) {
			if (++links > MAX_LINKS) throw unsafe(name, 'its parents are links that never end');
			if (target.startsWith('/')) trail.length = 0;
			pending.push(...stepsOf(target, root, name).reverse());
			continue;
		}
		const next = directoryAt(here, part, child) ?? (missing && makeDirectory(here, part, name, missing));
		if (next === undefined) return undefined;
		trail.push(next);
		// Links in its parents may make it longer than its name is.
		if (next.path.length > MAX_PATH) throw unsafe(name, 'it is longer than 4095 bytes');
	}
	return trail.at(-1) ?? origin;
}

function stepsOf(target: string, root: Root, name: RawPath): string[] {
	const steps = partsOf(target);
	root.steps += steps.length;
	if (root.steps > MAX_STEPS) throw unsafe(name, 'the links of the layer lead through too many directories');
	return steps;
}

function childAt(node: Node | undefined, name: string): Node | undefined {
	return nodeOf(node?.children?.get(name));
}

function targetOf(node: Node | undefined): string | undefined {
	return node?.entry.type === 'symlink' ? node.entry.target : undefined;
}

function directoryAt(here: Position, part: string, child: Node | undefined): Position | undefined {
	return child?.entry.type === 'directory' ? { node: child, path: childOf(here.path, part) } : undefined;
}

/** A parent that is missing, or that is no directory, is replaced by an implicit directory, as umoci does. */
function makeDirectory(here: Position, part: string, name: RawPath, missing: RootPath[]): Position {
	checkPart(part, name);
	const path = childOf(here.path, part);
	const hidden = childAt(here.node, part)?.entry.type === 'whiteout';
	const node: Node = { entry: hidden ? { ...IMPLICIT, opaque: true } : IMPLICIT, children: undefined };
	addChild(here.node, part, node);
	missing.push(path);
	return { node, path };
}

function checkedParts(name: RawPath): string[] {
	if (name.includes('\0')) throw unsafe(name, 'it has a NUL byte');
	if (name.length > MAX_PATH) throw unsafe(name, 'it is longer than 4095 bytes');
	const parts = partsOf(name);
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
	for (const part of path.split('/')) node = childAt(node, part);
	return node;
}

/** Returns whether something else than a directory that stays one was there. */
function setChild(parent: Node, name: string, entry: LayerEntry, files: FileTable): boolean {
	const child = parent.children?.get(name);
	const node = nodeOf(child);
	if (node?.entry.type === 'directory' && entry.type === 'directory') {
		node.entry = entry;
		return false;
	}
	addChild(parent, name, childFor(entry, files));
	return child !== undefined;
}

function unsafe(name: RawPath, reason: string): BuildError {
	return new BuildError('LAYER_UNSAFE', `a layer has the entry "${printablePath(name).slice(0, 200)}": ${reason}`, {
		hint: 'No honest tool writes such an entry. Do not use this image before you know who made it.',
	});
}

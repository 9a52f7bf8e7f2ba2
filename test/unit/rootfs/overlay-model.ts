import fc from 'fast-check';
import { childOf, parentOf, ROOT, type RootPath } from '../../../src/root-path.js';
import type { BaseEntry, WholeTree } from '../../../src/rootfs/merge.js';
import { type IdLimits, ownable } from '../../../src/rootfs/owner.js';
import type { Change, Entry } from '../../../src/rootfs/tree.js';
import type { UpperEntry } from '../../../src/rootfs/upper.js';

/** An inode: what it is and, for files, what is in it. Names that share one are hard links. */
export interface Inode {
	readonly id: number;
	entry: Entry;
	content: string;
	copiedUp: boolean;
}

/** A root filesystem after some operations: as a process sees it, and as the kernel left it in the upper directory. */
export interface Model {
	readonly after: ReadonlyMap<RootPath, Inode>;
	readonly upper: readonly UpperEntry[];
	readonly content: ReadonlyMap<RootPath, string>;
}

export type Operation =
	| {
			readonly type: 'write' | 'symlink' | 'mkdir' | 'remake' | 'remove' | 'touch';
			readonly path: RootPath;
			readonly text: string;
	  }
	| { readonly type: 'chmod'; readonly path: RootPath; readonly mode: number }
	| { readonly type: 'link'; readonly path: RootPath; readonly text: string; readonly to: RootPath };

export const ASSEMBLE_USER = { uid: 1001, gid: 0 };

const NEW = { ...ASSEMBLE_USER, mtime: 5000 };
const NEW_DIRECTORY: Entry = { ...NEW, type: 'directory', mode: 0o755 };

type Upper =
	| { readonly type: 'whiteout' }
	| { readonly type: 'inode'; readonly inode: Inode; readonly opaque: boolean };

interface World {
	readonly after: Map<RootPath, Inode>;
	readonly upper: Map<RootPath, Upper>;
	readonly copyUp: (path: RootPath) => void;
	readonly remove: (path: RootPath) => void;
	readonly create: (path: RootPath, inode: Inode) => void;
	/** An inode that assemble makes. */
	readonly fresh: (entry: Entry) => Inode;
}

/** Applies `operations` to `base` the way the kernel's overlay (without redirects) does; what a process could not do is skipped. */
export function runModel(base: WholeTree, operations: readonly Operation[], ids: IdLimits): Model {
	const world = openWorld(base);
	const { after, upper } = world;
	for (const operation of operations) {
		const isPossible = operation.path !== ROOT && after.get(parentOf(operation.path))?.entry.type === 'directory';
		if (isPossible) perform(operation, world);
	}
	const content = new Map([...after].map(([path, inode]) => [path, inode.content] as const));
	return { after, upper: [...upper].map(([path, own]) => upperEntry(path, own, after, ids)), content };
}

function openWorld(base: WholeTree): World {
	let nextId = 1;
	const after = new Map<RootPath, Inode>();
	const upper = new Map<RootPath, Upper>();
	for (const [path, { entry }] of base) {
		after.set(path, { id: nextId++, entry, content: contentOfBase(path, entry), copiedUp: true });
	}
	const copyUp = (path: RootPath) => {
		for (let up = path; ; up = parentOf(up)) {
			const inode = after.get(up);
			if (inode !== undefined && upper.get(up)?.type !== 'inode')
				upper.set(up, { type: 'inode', inode, opaque: false });
			if (up === ROOT) return;
		}
	};
	const isMerged = (path: RootPath): boolean => {
		if (path === ROOT) return true;
		const own = upper.get(path);
		const pure = own?.type === 'inode' && (own.opaque || !own.inode.copiedUp);
		return !pure && base.get(path)?.entry.type === 'directory' && isMerged(parentOf(path));
	};
	return {
		after,
		upper,
		copyUp,
		remove: (path) => {
			if (!after.has(path)) return;
			copyUp(parentOf(path));
			for (const names of [after, upper])
				for (const name of [...names.keys()]) if (isWithin(name, path)) names.delete(name);
			if (base.has(path) && isMerged(parentOf(path))) upper.set(path, { type: 'whiteout' });
		},
		create: (path, inode) => {
			copyUp(parentOf(path));
			const opaque = inode.entry.type === 'directory' && isMerged(parentOf(path));
			after.set(path, inode);
			upper.set(path, { type: 'inode', inode, opaque });
		},
		fresh: (entry) => ({ id: nextId++, entry, content: '', copiedUp: false }),
	};
}

function perform(operation: Operation, world: World): void {
	const { path } = operation;
	switch (operation.type) {
		case 'write':
			createNew(path, { ...NEW, type: 'file', mode: 0o644, size: 0 }, world);
			write(path, operation.text, world);
			break;
		case 'mkdir':
			createNew(path, NEW_DIRECTORY, world);
			break;
		case 'remake':
			world.remove(path);
			createNew(path, NEW_DIRECTORY, world);
			break;
		case 'symlink':
			createNew(path, { ...NEW, type: 'symlink', mode: 0o777, target: operation.text }, world);
			break;
		case 'remove':
			world.remove(path);
			break;
		case 'touch':
			change(path, { mtime: 6000 }, world);
			break;
		case 'chmod':
			change(path, { mode: operation.mode }, world);
			break;
		case 'link':
			link(path, operation.to, world);
			break;
	}
}

function createNew(path: RootPath, entry: Entry, { after, create, fresh }: World): void {
	if (!after.has(path)) create(path, fresh(entry));
}

function write(path: RootPath, text: string, { after, copyUp }: World): void {
	const inode = after.get(path);
	if (inode?.entry.type !== 'file') return;
	copyUp(path);
	inode.content = text;
	inode.entry = { ...inode.entry, size: text.length, mtime: NEW.mtime };
}

function change(path: RootPath, attributes: Partial<Pick<Entry, 'mode' | 'mtime'>>, { after, copyUp }: World): void {
	const inode = after.get(path);
	if (inode === undefined || inode.entry.type === 'symlink') return;
	copyUp(path);
	inode.entry = { ...inode.entry, ...attributes };
}

function link(path: RootPath, to: RootPath, { after, copyUp, create }: World): void {
	const inode = after.get(path);
	if (inode?.entry.type !== 'file' || after.has(to) || after.get(parentOf(to))?.entry.type !== 'directory') return;
	copyUp(path);
	create(to, inode);
}

/** Whether `path` is `ancestor` or below it. */
export function isWithin(path: RootPath, ancestor: RootPath): boolean {
	return ancestor === ROOT || path === ancestor || path.startsWith(`${ancestor}/`);
}

/** What the file at `path` holds in every base of these tests. */
export function contentOfBase(path: RootPath, entry: Entry): string {
	return entry.type === 'file' ? path.slice(0, 1).repeat(entry.size) : '';
}

/** A base for the model: files have the sizes their contents have, and no links or special bits that need a kernel. */
export function baseOf(tree: ReadonlyMap<RootPath, Entry>): WholeTree {
	return new Map([...tree].map(([path, entry]): [RootPath, BaseEntry] => [path, { entry, layer: 0 }]));
}

/** The layer `changes` on top of `base`, as image-spec v1.1 layer.md says; contents of new files are read from `content`. */
export function applyChanges(
	base: WholeTree,
	changes: readonly Change[],
	content: ReadonlyMap<RootPath, string>,
): ReadonlyMap<RootPath, { readonly entry: Entry; readonly content: string }> {
	const result = new Map<RootPath, { readonly entry: Entry; readonly content: string }>();
	for (const [path, { entry }] of base) result.set(path, { entry, content: contentOfBase(path, entry) });
	const drop = (path: RootPath) => {
		for (const other of [...result.keys()]) if (isWithin(other, path)) result.delete(other);
	};
	for (const change of changes) if (change.type === 'remove') drop(change.path);
	for (const change of changes) {
		if (change.type === 'remove') continue;
		const merges = change.entry.type === 'directory' && result.get(change.path)?.entry.type === 'directory';
		if (!merges) drop(change.path);
		const linkOf = change.entry.type === 'file' ? change.entry.linkOf : undefined;
		result.set(change.path, { entry: change.entry, content: content.get(linkOf ?? change.path) ?? '' });
	}
	return result;
}

const name = fc.constantFrom('a', 'a', 'a', 'b', 'a-');
const anyPath = fc
	.array(name, { minLength: 1, maxLength: 4 })
	.map((parts) => parts.reduce<RootPath>((path, part) => childOf(path, part), ROOT));
const text = fc.constantFrom('', 'a', 'b', 'aa', 'new');

/** Any operation; with `links` hard links too. */
export function anyOperation(links: boolean): fc.Arbitrary<Operation> {
	const plain = fc.record({
		type: fc.constantFrom('write', 'symlink', 'mkdir', 'remake', 'remove', 'touch'),
		path: anyPath,
		text,
	}) as fc.Arbitrary<Operation>;
	const chmod = fc.record({ type: fc.constant('chmod' as const), path: anyPath, mode: fc.constantFrom(0o644, 0o755) });
	const link = fc.record({ type: fc.constant('link' as const), path: anyPath, text, to: anyPath });
	return links
		? fc.oneof({ weight: 4, arbitrary: plain }, chmod, link)
		: fc.oneof({ weight: 4, arbitrary: plain }, chmod);
}

function upperEntry(path: RootPath, own: Upper, after: ReadonlyMap<RootPath, Inode>, ids: IdLimits): UpperEntry {
	const none = { path, xattrs: new Map(), opaque: false, copiedUp: false };
	if (own.type === 'whiteout') return { ...none, type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0 };
	const { entry, copiedUp, id } = own.inode;
	const names = [...after.values()].filter((inode) => inode.id === id).length;
	const owner = ids.uids > 1 && ownable(entry, ids) ? entry : { uid: 0, gid: 0 };
	return {
		...none,
		type: entry.type === 'character' || entry.type === 'block' ? 'other' : entry.type,
		mode: entry.mode,
		uid: owner.uid,
		gid: owner.gid,
		size: entry.type === 'file' ? entry.size : 0,
		mtime: entry.mtime,
		opaque: own.opaque,
		copiedUp: copiedUp && entry.type !== 'symlink',
		...(entry.type === 'symlink' && { target: entry.target }),
		...(entry.type === 'file' && names > 1 && { inode: `1:${id}` }),
	};
}

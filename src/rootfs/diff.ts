import { BuildError } from '../errors.js';
import { parentOf, printablePath, ROOT, type RootPath } from '../root-path.js';
import { declareUpper, identityOf, type OwnerContext, type OwnerInput, ownerOf } from './declare.js';
import { imageXattrs } from './image-xattrs.js';
import type { BaseEntry, BaseTree } from './merge.js';
import type { Owner } from './owner.js';
import type { Change, DirectoryEntry, Entry, Put, UnreadFile } from './tree.js';
import type { UpperEntry } from './upper.js';
import { parseWhiteout, whiteoutOf } from './whiteout.js';

export interface DiffContext extends OwnerInput {
	/** Whether the file has the same bytes in the upper directory and in `base`. Asked only for files of equal size. */
	readonly sameContent: (path: RootPath, base: BaseEntry) => boolean;
	/** Of the attributes that the base declares at a path, those that its unpacked layer lacks because this host refused them. */
	readonly lostXattrs?: (path: RootPath, base: BaseEntry) => ReadonlyMap<string, Buffer>;
	/** Directories that exist only as mount points; they count only when something else is in them. */
	readonly scaffolding: ReadonlySet<RootPath>;
}

export interface LayerStatistics {
	readonly added: number;
	readonly changed: number;
	readonly deleted: number;
}

export interface Diff {
	/** Sorted by the bytes of the name they have in a layer. Parents of changed entries are among them, as the base declares them. */
	readonly changes: readonly (Change | UnreadFile)[];
	/** What an {@link UnreadFile} is, once it is read. */
	readonly declare: (file: UpperEntry) => Put;
	readonly statistics: LayerStatistics;
}

export const NO_CHANGES: Diff = {
	changes: [],
	declare: ({ path }) => {
		throw new Error(`${printablePath(path)} is no change`);
	},
	statistics: { added: 0, changed: 0, deleted: 0 },
};

/**
 * What an overlay's upper directory changes in the base image. An entry that equals the base in type, bytes, mode, owner, link target
 * and xattrs is no change, whatever its times. Every parent of a change is repeated with the attributes of the base, because Docker's
 * overlay2 would otherwise make it anew as root's.
 */
export function diffUpper(upper: readonly (UpperEntry | UnreadFile)[], context: DiffContext): Diff {
	const sorted = [...upper].sort((a, b) => (a.path < b.path ? -1 : 1));
	const read = sorted.filter((entry) => entry.type !== 'unread');
	const owners = ownerContext(read, context);
	const changed = sorted.flatMap((entry): Change | UnreadFile | readonly [] => {
		const change = entry.type === 'unread' ? unlessScaffolding(entry, context) : compare(entry, owners, context);
		return change ?? [];
	});
	const own = [...hiddenBy(read, context.base), ...changed];
	const statistics = { added: 0, changed: 0, deleted: 0 };
	for (const change of own) {
		if (change.type === 'remove') statistics.deleted++;
		else if (change.type === 'put' && change.replaces) statistics.changed++;
		else statistics.added++;
	}
	const changes = [...own, ...parentsOf(own, context.base)];
	return {
		changes: changes.sort((a, b) => (layerName(a) < layerName(b) ? -1 : 1)),
		declare: (file) => declareNew(file, owners),
		statistics,
	};
}

/** Who owns each entry of an upper directory. */
export function findOwners(upper: readonly UpperEntry[], context: OwnerInput): readonly (readonly [RootPath, Owner])[] {
	const owners = ownerContext(upper, context);
	return upper.flatMap((entry) =>
		entry.type === 'whiteout'
			? []
			: [[entry.path, ownerOf(entry, context.base.get(entry.path)?.entry, owners)] as const],
	);
}

function ownerContext(upper: readonly UpperEntry[], context: OwnerInput): OwnerContext {
	return {
		...context,
		inodeOwner: findInodeOwners(upper, context.base),
		movedOwner: findMovedOwners(upper, context.base),
	};
}

function compare(entry: UpperEntry, owners: OwnerContext, context: DiffContext): Change | undefined {
	const { path } = entry;
	const below = context.base.get(path);
	if (entry.type === 'whiteout') return below === undefined ? undefined : { type: 'remove', path };
	const found = declareUpper(entry, below?.entry, owners);
	if (found === undefined) return undefined;
	const declared = entry.copiedUp && below !== undefined ? withLost(found, below, path, context) : found;
	if (below !== undefined && equals(declared, below, path, context)) return undefined;
	const put: Put = { type: 'put', path, entry: declared, replaces: below !== undefined, inode: entry.inode };
	return below === undefined ? unlessScaffolding(put, context) : put;
}

function declareNew(file: UpperEntry, owners: OwnerContext): Put {
	const { path, inode } = file;
	const entry = declareUpper(file, undefined, owners);
	if (entry === undefined) throw new Error(`${printablePath(path)} is no file any more`);
	return { type: 'put', path, entry, replaces: false, inode };
}

function unlessScaffolding<T extends Put | UnreadFile>(change: T, { scaffolding }: DiffContext): T | undefined {
	const { path } = change;
	if (path.includes('.wh.') && parseWhiteout(path) !== undefined) throw notStorable(path);
	return scaffolding.has(path) ? undefined : change;
}

/** What directories that were made anew hide of the base, where nothing stands in its place. Only the topmost has overlay's mark. */
function hiddenBy(upper: readonly UpperEntry[], base: BaseTree): readonly Change[] {
	const opaque = new Set<RootPath>();
	for (const { path, type, opaque: marked } of upper) {
		if (marked || (type === 'directory' && path !== ROOT && opaque.has(parentOf(path)))) opaque.add(path);
	}
	// The kernel marks all directories that are new; few are where the base has one, and only for those all of the base is read.
	if (![...opaque].some((path) => base.has(path))) return [];
	const present = new Set(upper.map((entry) => entry.path));
	return [...base.keys()]
		.filter((path) => path !== ROOT && opaque.has(parentOf(path)) && !present.has(path))
		.map((path) => ({ type: 'remove', path }));
}

/** A hard link to a file of the base has that file's owner, though its own path is new. */
function findInodeOwners(upper: readonly UpperEntry[], base: BaseTree): OwnerContext['inodeOwner'] {
	const owners = new Map<string, Owner>();
	for (const { inode, path } of upper) {
		const below = inode === undefined ? undefined : base.get(path)?.entry;
		if (inode !== undefined && below?.type === 'file') owners.set(inode, below);
	}
	return (inode) => owners.get(inode);
}

/** Entries of the base whose path is gone may have been moved rather than deleted. */
function findMovedOwners(upper: readonly UpperEntry[], base: BaseTree): OwnerContext['movedOwner'] {
	const owners = new Map<string, Owner>();
	for (const { type, path } of upper) {
		const gone = type === 'whiteout' ? base.get(path)?.entry : undefined;
		const identity = gone === undefined ? undefined : identityOf(gone);
		if (gone !== undefined && identity !== undefined) owners.set(identity, gone);
	}
	return (entry) => owners.get(identityOf(entry) ?? '');
}

function equals(declared: Entry, below: BaseEntry, path: RootPath, context: DiffContext): boolean {
	const old = below.entry;
	const sameOwner = declared.uid === old.uid && declared.gid === old.gid;
	if (declared.type !== old.type || !sameOwner || !sameXattrs(declared.xattrs, old.xattrs)) return false;
	if (declared.type === 'symlink') return old.type === 'symlink' && declared.target === old.target;
	if (declared.mode !== old.mode) return false;
	if (declared.type !== 'file' || old.type !== 'file') return true;
	return declared.size === old.size && context.sameContent(path, below);
}

function sameXattrs(current: Entry['xattrs'], declared: Entry['xattrs']): boolean {
	if (current === declared) return true;
	const kept = declared === undefined ? [] : [...imageXattrs(declared)];
	if ((current?.size ?? 0) !== kept.length) return false;
	return kept.every(([name, value]) => current?.get(name)?.equals(value) === true);
}

/** What the kernel copied up keeps the attributes that it never had here. */
function withLost(found: Entry, below: BaseEntry, path: RootPath, { lostXattrs }: DiffContext): Entry {
	if (lostXattrs === undefined || below.entry.xattrs === undefined) return found;
	const lost = imageXattrs(lostXattrs(path, below));
	return lost.size === 0 ? found : { ...found, xattrs: new Map([...lost, ...(found.xattrs ?? [])]) };
}

function parentsOf(changes: readonly { readonly path: RootPath }[], base: BaseTree): readonly Change[] {
	const seen = new Set(changes.map((change) => change.path));
	const parents: Change[] = [];
	for (const change of changes) {
		for (let path = parentOf(change.path); path !== ROOT && !seen.has(path); path = parentOf(path)) {
			seen.add(path);
			parents.push({ type: 'put', path, entry: asDeclared(base.get(path)?.entry), replaces: true });
		}
	}
	return parents;
}

function asDeclared(entry: Entry | undefined): DirectoryEntry {
	if (entry?.type === 'directory') return entry;
	return { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0 };
}

function layerName(change: Change | UnreadFile): string {
	return change.type === 'remove' ? whiteoutOf(change.path) : change.path;
}

function notStorable(path: RootPath): BuildError {
	return new BuildError(
		'ASSEMBLE_FAILED',
		`assemble made "/${printablePath(path)}", a name that means a deletion in a layer`,
		{
			hint: 'No image can hold names that begin with .wh. (image-spec layer.md#whiteouts). Give the file another name.',
		},
	);
}

import { chmodSync, chownSync, closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { BuildError, explaining } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import type { PackedLayer } from '../oci/descriptor.js';
import type { Digest } from '../oci/digest.js';
import type { HostBind } from '../protocol/host-bind.js';
import { type ChangedPath, MAX_CHANGES } from '../protocol/observation.js';
import type { Inspected, WorkerCalls } from '../protocol/worker-calls.js';
import { fsPath, joinRaw, printablePath, type RootPath, rawPath } from '../root-path.js';
import { lookUpTree } from '../rootfs/base-tree.js';
import { openCopy } from '../rootfs/copied-root.js';
import { type Diff, type DiffContext, diffUpper, type LayerStatistics, NO_CHANGES } from '../rootfs/diff.js';
import type { LayerIndex } from '../rootfs/layer-index.js';
import type { LayerStore, LayerSummary } from '../rootfs/layer-store.js';
import { type BaseEntry, type BaseTree, hiddenDirectories, mergeLayers, type WholeTree } from '../rootfs/merge.js';
import { type OpenTree, openTree } from '../rootfs/open-tree.js';
import { openOverlay } from '../rootfs/overlay.js';
import { type IdLimits, type Owner, ownable } from '../rootfs/owner.js';
import { type PackOptions, packLayer } from '../rootfs/pack.js';
import { resolveAll, resolveInRoot } from '../rootfs/resolve-in-root.js';
import type { RootDirectory } from '../rootfs/root-directory.js';
import { sameBytes } from '../rootfs/same-bytes.js';
import { readOpenFile } from '../rootfs/upper.js';
import { type CopyTarget, diskInode, type InodeOf } from './copy-tree.js';
import { openOwnership } from './ownership.js';
import { prepareRoot } from './prepare-root.js';

export interface MountContext {
	readonly libc: Libc;
	readonly store: LayerStore;
	readonly scratch: string;
	readonly ids: IdLimits;
	/** Directory that every id can reach, where the root filesystem is mounted; undefined where nothing can be mounted. */
	readonly target: string | undefined;
	readonly rootfs: 'overlay' | 'copy';
}

/** A mounted image that can be looked at, prepared, run in, and compared with what it was. */
export interface RootFilesystem {
	readonly path: string;
	readonly inspect: (stat: readonly string[], read: readonly string[]) => readonly Inspected[];
	/** Returns the bind mounts with their real destinations. */
	readonly prepare: (request: WorkerCalls['prepare']['request']) => readonly HostBind[] | Promise<readonly HostBind[]>;
	/** From now on what becomes new in it is this user's. */
	readonly turn: (user: Owner) => void;
	/** Where copies go, which own themselves. */
	readonly copyTarget: () => Pick<CopyTarget, 'root' | 'claim'>;
	/** Where something of the host is shown. */
	readonly shown: () => ReadonlySet<RootPath>;
	/** Which of its files, as they are now, are one file. */
	readonly inodes: () => InodeOf;
	/** Reads the declared base, which packing needs, ahead of time. */
	readonly warm: () => void;
	readonly diff: (request: WorkerCalls['diff']['request']) => LayerStatistics;
	/** The first paths of what `diff` found, without directories that are only parents of a change. */
	readonly listChanges: () => readonly ChangedPath[];
	readonly pack: (
		request: WorkerCalls['pack']['request'],
		progress: (bytes: number) => void,
		signal: AbortSignal,
	) => Promise<PackedLayer>;
	readonly unmount: () => void;
}

/** Bytes of a file that is looked at. */
export const READ_LIMIT: number = 1 << 20;
const DEFAULT_ROOT = { mode: 0o755, uid: 0, gid: 0 };

/** Mounts the layers `diffIds` (lowest first), which must be in the store. */
export async function mountRootFilesystem(
	diffIds: readonly Digest[],
	context: MountContext,
	signal: AbortSignal,
): Promise<RootFilesystem> {
	const { store, libc } = context;
	const lowers = diffIds.map((diffId) => store.rootOf(diffId));
	const { indexes, whole, base } = openBase(diffIds, store);
	const summaries = diffIds.map((diffId) => required(store.readSummary(diffId), diffId));
	const directory = await openDirectory({ summaries, lowers, whole }, context, signal);
	const { path: target } = directory;
	const root = rawPath(target);
	const scaffolding = new Set<RootPath>();
	const excluded = new Set<RootPath>();
	const shown = new Set<RootPath>();
	const ownership = openOwnership(directory, { ids: context.ids, libc, base });
	let diff = NO_CHANGES;
	let changed: OpenTree | undefined;
	setRootAttributes(directory.changed, summaries, context.ids);
	directory.mount();
	const hides = context.rootfs === 'overlay' && summaries.slice(1).some((summary) => summary.implies);
	if (hides) restoreHidden(target, indexes(), whole(), context.ids);

	return {
		path: target,
		inspect: (stat, read) => inspect(target, stat, read),
		prepare: (request) =>
			prepareRoot(request, { directory, ownership, scaffolding, excluded, shown, ids: context.ids }),
		shown: () => shown,
		turn: ownership.turn,
		copyTarget: () => {
			ownership.turn(undefined);
			return { root, claim: ownership.claim };
		},
		inodes: () => (context.rootfs === 'copy' ? copiedInodes(directory, base()) : diskInode),
		warm: () => {
			try {
				base();
			} catch {
				// A damaged index is met again, and told, by the diff; a timer has nobody to tell.
			}
		},
		diff: ({ assembleUser, excluded: paths }) => {
			for (const path of resolveAll(root, paths.map(rawPath))) excluded.add(path);
			ownership.turn(assembleUser);
			changed?.close();
			// Files that are only looked at when they are packed are asked about there, too.
			const tree = openTree(rawPath(directory.changed), libc);
			changed = tree;
			const claimedOwner = (path: RootPath) => ownership.ownerAt(tree, path);
			const what = { base: base(), assembleUser, claimedOwner, excluded, scaffolding };
			diff = diffRoot({ directory, tree, lowers }, what, context);
			return diff.statistics;
		},
		listChanges: () => listChanges(diff),
		pack: (request, progress, stop) => writeLayer(diff, { root: directory.changed, libc }, request, progress, stop),
		unmount: () => {
			changed?.close();
			changed = undefined;
			directory.close();
		},
	};
}

/** What the layers `diffIds` declare: one by one, merged, and merged as far as somebody looks. Each throws HOST_STORE. */
function openBase(diffIds: readonly Digest[], store: LayerStore) {
	const indexes = lazily(() => diffIds.map((diffId) => required(store.readIndex(diffId), diffId)));
	const whole = lazily(() => mergeLayers(indexes().map((index) => index.entries)));
	const base = lazily((): BaseTree => {
		const lookups = diffIds.flatMap((diffId) => {
			const found = store.openLookup(diffId);
			const find = (path: RootPath) =>
				explaining(
					() => found?.find(path),
					() => {
						throw damaged(diffId);
					},
				);
			return found === undefined ? [] : [{ find }];
		});
		return lookups.length === diffIds.length ? lookUpTree(lookups, whole) : whole();
	});
	return { indexes, whole, base };
}

interface Layers {
	readonly summaries: readonly LayerSummary[];
	readonly lowers: readonly string[];
	readonly whole: () => WholeTree;
}

function openDirectory(layers: Layers, context: MountContext, signal: AbortSignal): Promise<RootDirectory> {
	const { summaries, lowers, whole } = layers;
	const { libc, scratch, target } = context;
	if (context.rootfs === 'copy' || target === undefined)
		return openCopy(whole(), lowers, { scratch, target }, libc, signal);
	const lowest = summaries.findLastIndex((summary) => summary.opaque);
	return Promise.resolve(openOverlay(lowers.slice(Math.max(0, lowest)), scratch, target, libc));
}

/** Writes the layer of `diff`, whose contents are below the host's directory `root` and pass `check`. Throws HOST_NO_SPACE, ASSEMBLE_SURVIVED. */
export async function writeLayer(
	diff: Diff,
	{ root, libc, check }: { readonly root: string; readonly libc: Libc; readonly check?: PackOptions['check'] },
	{ epoch, output }: WorkerCalls['pack']['request'],
	progress: (bytes: number) => void,
	signal: AbortSignal,
): Promise<PackedLayer> {
	const raw = rawPath(root);
	const declare = (path: RootPath, file: number) => diff.declare(readOpenFile(path, file, libc));
	const file = openSync(output, 'wx', 0o600);
	try {
		return await packLayer(
			diff.changes,
			raw,
			file,
			{ epoch, progress, declare, libc, ...(check && { check }) },
			signal,
		);
	} finally {
		closeSync(file);
	}
}

/** What `diff` found, as far as people look at it. */
export function listChanges({ changes }: Diff): readonly ChangedPath[] {
	const listed = changes.flatMap((change): ChangedPath | readonly [] => {
		const path = `/${printablePath(change.path)}`;
		if (change.type === 'remove') return { path, change: 'removed' };
		if (change.type === 'unread' || !change.replaces) return { path, change: 'added' };
		return change.entry.type === 'directory' ? [] : { path, change: 'changed' };
	});
	return listed.slice(0, MAX_CHANGES);
}

function diffRoot(
	{ directory, tree, lowers }: Pick<Layers, 'lowers'> & { readonly directory: RootDirectory; readonly tree: OpenTree },
	what: Omit<DiffContext, 'ids' | 'sameContent' | 'lostXattrs'> & { readonly excluded: ReadonlySet<RootPath> },
	{ ids, libc }: MountContext,
): Diff {
	const lostXattrs = (path: RootPath, { entry, layer }: BaseEntry) => {
		const there = libc.listXattrs(joinRaw(rawPath(lowers[layer] ?? ''), path));
		return new Map([...(entry.xattrs ?? [])].filter(([name]) => !there.has(name)));
	};
	const sameContent = (path: RootPath, { layer }: BaseEntry) =>
		sameBytes(tree, path, joinRaw(rawPath(lowers[layer] ?? ''), path));
	const isNew = (path: RootPath) => !what.base.has(path);
	const found = directory.scanUnread?.(what.excluded, isNew) ?? directory.scan(what.excluded);
	return diffUpper(found, { ...what, ids, sameContent, lostXattrs });
}

function required<T>(found: T | undefined, diffId: Digest): T {
	if (found !== undefined) return found;
	throw damaged(diffId);
}

function damaged(diffId: Digest): BuildError {
	return new BuildError('HOST_STORE', `layer ${diffId} in the store is damaged`, {
		hint: 'Remove the store and build again, or name another place with --store DIR.',
	});
}

/** The merged root directory shows the upper directory's own attributes. */
function setRootAttributes(upper: string, summaries: readonly LayerSummary[], ids: IdLimits): void {
	const declared = summaries.findLast((summary) => summary.root !== null)?.root ?? DEFAULT_ROOT;
	if (ownable(declared, ids)) chownSync(upper, declared.uid, declared.gid);
	chmodSync(upper, declared.mode);
}

/** A directory that a layer only implies would hide, in an overlay, how a lower layer declares it. */
function restoreHidden(target: string, indexes: readonly LayerIndex[], base: BaseTree, ids: IdLimits): void {
	const root = rawPath(target);
	for (const path of hiddenDirectories(indexes.map((index) => index.entries))) {
		const declared = base.get(path)?.entry;
		if (declared?.type !== 'directory') continue;
		const disk = fsPath(joinRaw(root, path));
		const stats = statSync(disk);
		const owned = !ownable(declared, ids) || (stats.uid === declared.uid && stats.gid === declared.gid);
		if (!owned) chownSync(disk, declared.uid, declared.gid);
		if (!owned || (stats.mode & 0o7777) !== declared.mode) chmodSync(disk, declared.mode);
	}
}

/** Looks at paths of the root filesystem at `target` without following a link out of it. */
export function inspect(target: string, stat: readonly string[], read: readonly string[]): readonly Inspected[] {
	const root = rawPath(target);
	const look = (path: string, wantsText: boolean): Inspected => {
		const { path: real, stats } = resolveInRoot(root, rawPath(path));
		if (stats === undefined) return { path, type: 'missing', mode: 0 };
		const type = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
		const readable = wantsText && type === 'file' && stats.size <= READ_LIMIT;
		return {
			path,
			type,
			mode: stats.mode & 0o7777,
			...(readable && { text: readFileSync(fsPath(joinRaw(root, real)), 'utf8') }),
		};
	};
	return [...stat.map((path) => look(path, false)), ...read.map((path) => look(path, true))];
}

/** A copied root filesystem has lost the hard links of the image; what nobody changed since has those that the image declares. */
function copiedInodes(directory: RootDirectory, base: BaseTree): InodeOf {
	const changed = new Set(directory.scan(new Set()).map((entry) => entry.path));
	return (path, stats) => {
		const below = changed.has(path) ? undefined : base.get(path);
		if (below?.entry.type !== 'file') return diskInode(path, stats);
		return `layer ${below.layer} ${below.entry.linkOf ?? path}`;
	};
}

function lazily<T>(make: () => T): () => T {
	let value: { readonly made: T } | undefined;
	return () => (value ??= { made: make() }).made;
}

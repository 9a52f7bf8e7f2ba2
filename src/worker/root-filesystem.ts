import {
	chmodSync,
	chownSync,
	closeSync,
	lchownSync,
	lstatSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import { BuildError } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import type { Digest } from '../oci/digest.js';
import { fsPath, joinRaw, printablePath, type RawPath, ROOT, type RootPath, rawPath } from '../root-path.js';
import { makeDirectories, resolveInRoot } from '../rootfs/confine.js';
import { type Diff, diffUpper, type LayerStatistics } from '../rootfs/diff.js';
import type { LayerIndex } from '../rootfs/layer-index.js';
import type { LayerStore, LayerSummary } from '../rootfs/layer-store.js';
import { type BaseEntry, type BaseTree, hiddenDirectories, mergeLayers } from '../rootfs/merge.js';
import { openOverlay } from '../rootfs/overlay.js';
import { type IdLimits, ownable } from '../rootfs/owner.js';
import { type PackedLayer, packLayer } from '../rootfs/pack.js';
import { sameBytes } from '../rootfs/same-bytes.js';
import type { Change } from '../rootfs/tree.js';
import { scanUpper } from '../rootfs/upper.js';
import type { BindMount } from '../sandbox/sandbox.js';
import type { Inspected, WorkerCalls } from './protocol.js';

export interface RootContext {
	readonly libc: Libc;
	readonly store: LayerStore;
	readonly scratch: string;
	readonly ids: IdLimits;
	/** Directory that every id can reach, where the root filesystem is mounted. */
	readonly target: string;
}

/** A mounted image that can be looked at, prepared, run in, and compared with what it was. */
export interface RootFilesystem {
	readonly path: string;
	readonly inspect: (stat: readonly string[], read: readonly string[]) => readonly Inspected[];
	/** Returns the bind mounts with their real destinations. */
	readonly prepare: (request: WorkerCalls['prepare']['request']) => readonly BindMount[];
	/** Reads the declared base, which packing needs, ahead of time. */
	readonly warm: () => void;
	readonly diff: (request: WorkerCalls['diff']['request']) => LayerStatistics;
	readonly pack: (
		request: WorkerCalls['pack']['request'],
		progress: (bytes: number) => void,
		signal: AbortSignal,
	) => Promise<PackedLayer>;
	readonly unmount: () => void;
}

const READ_LIMIT = 1 << 20;
const DEFAULT_ROOT = { mode: 0o755, uid: 0, gid: 0 };
const KERNEL_DIRECTORIES: readonly string[] = ['proc', 'sys', 'dev'];

/** Mounts the layers `diffIds` (lowest first), which must be in the store. */
export function mountRootFilesystem(diffIds: readonly Digest[], context: RootContext): RootFilesystem {
	const { libc, store, scratch, target } = context;
	const lowers = diffIds.map((diffId) => store.rootOf(diffId));
	const indexes = lazily(() => diffIds.map((diffId) => required(store.readIndex(diffId), diffId)));
	const base = lazily(() => mergeLayers(indexes().map((index) => index.entries)));
	const summaries = diffIds.map((diffId) => required(store.readSummary(diffId), diffId));
	const lowest = summaries.findLastIndex((summary) => summary.opaque);
	const overlay = openOverlay(lowers.slice(Math.max(0, lowest)), scratch, target, libc);
	const root = rawPath(target);
	const scaffolding = new Set<RootPath>();
	const excluded = new Set<RootPath>();
	let changes: readonly Change[] = [];
	setRootAttributes(overlay.upper, summaries, context.ids);
	overlay.mount();
	if (summaries.slice(1).some((summary) => summary.implies)) restoreHidden(target, indexes(), base(), context.ids);

	const addMountPoint = (bind: BindMount): BindMount => {
		const path = makeMountPoint(target, bind, scaffolding);
		excluded.add(path);
		return { ...bind, destination: `/${path}` };
	};
	return {
		path: target,
		inspect: (stat, read) => inspect(target, stat, read),
		prepare: ({ placements, binds, workingDir }) => {
			const placed = placements.map((placement) => {
				const { path, made } = makeDirectories(root, rawPath(placement.destination));
				if (path === ROOT || isKernels(path)) throw misplaced(placement.destination, path);
				for (const directory of made) if (directory !== path) scaffolding.add(directory);
				rmSync(fsPath(joinRaw(root, path)), { recursive: true, force: true });
				mkdirSync(fsPath(joinRaw(root, path)));
				if (!placement.keep) excluded.add(path);
				return { ...placement, path };
			});
			const working = makeDirectories(root, rawPath(workingDir));
			// A working directory among open files is one outside of the sandbox (CVE-2024-21626).
			if (isKernels(working.path)) throw misplaced(workingDir, working.path);
			for (const directory of working.made) scaffolding.add(directory);
			for (const directory of KERNEL_DIRECTORIES) addKernelDirectory(root, directory, excluded);
			const mounts = binds.map(addMountPoint);
			overlay.unmount();
			for (const { source, path, owner } of placed)
				place(source, joinRaw(rawPath(overlay.upper), path), owner, context);
			overlay.mount();
			return mounts;
		},
		warm: () => {
			try {
				base();
			} catch {
				// A damaged index is met again, and told, by the diff; a timer has nobody to tell.
			}
		},
		diff: ({ assembleUser, excluded: paths }) => {
			for (const path of paths) excluded.add(resolveInRoot(root, rawPath(path), false).path);
			const diff = diffRoot(overlay.upper, lowers, { base: base(), assembleUser, excluded, scaffolding }, context);
			changes = diff.changes;
			return diff.statistics;
		},
		pack: (request, progress, signal) => writeLayer(changes, overlay.upper, request, progress, signal),
		unmount: overlay.unmount,
	};
}

async function writeLayer(
	changes: readonly Change[],
	upper: string,
	{ epoch, output }: WorkerCalls['pack']['request'],
	progress: (bytes: number) => void,
	signal: AbortSignal,
): Promise<PackedLayer> {
	const file = openSync(output, 'wx', 0o600);
	try {
		return await packLayer(changes, rawPath(upper), file, { epoch, progress }, signal);
	} finally {
		closeSync(file);
	}
}

function diffRoot(
	upper: string,
	lowers: readonly string[],
	what: {
		readonly base: BaseTree;
		readonly assembleUser: { readonly uid: number; readonly gid: number };
		readonly excluded: ReadonlySet<RootPath>;
		readonly scaffolding: ReadonlySet<RootPath>;
	},
	{ libc, ids }: RootContext,
): Diff {
	const raw = rawPath(upper);
	const sameContent = (path: RootPath, { layer }: BaseEntry) =>
		sameBytes(joinRaw(raw, path), joinRaw(rawPath(lowers[layer] ?? ''), path));
	return diffUpper(scanUpper(raw, what.excluded, libc), { ...what, ids, sameContent });
}

function isKernels(path: RootPath): boolean {
	return KERNEL_DIRECTORIES.some((directory) => path === directory || path.startsWith(`${directory}/`));
}

function misplaced(wanted: string, path: RootPath): BuildError {
	const message = `"${printablePath(rawPath(wanted))}" of the image leads to "/${printablePath(path)}"`;
	return new BuildError('IMAGE_UNSUPPORTED', message, {
		hint: 'No honest image has that. Do not use it before you know who made it.',
	});
}

/** A link there would make a sandbox mount a file system where the image wants it (CVE-2019-19921, CVE-2025-52565). */
function addKernelDirectory(root: RawPath, directory: string, excluded: Set<RootPath>): void {
	const { path, stats } = resolveInRoot(root, directory, false);
	if (stats !== undefined && !stats.isDirectory()) {
		throw new BuildError('IMAGE_UNSUPPORTED', `"/${directory}" of the image is no directory`, {
			hint: 'No honest image has that. Do not use it before you know who made it.',
		});
	}
	if (stats === undefined) mkdirSync(fsPath(joinRaw(root, path)), { mode: 0o755 });
	excluded.add(path);
}

function required<T>(found: T | undefined, diffId: Digest): T {
	if (found !== undefined) return found;
	throw new BuildError('HOST_STORE', `layer ${diffId} in the store is damaged`, {
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

function inspect(target: string, stat: readonly string[], read: readonly string[]): readonly Inspected[] {
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

/** A link where a file is to be mounted is replaced by an empty file, so that nothing is mounted at what it points to. */
function makeMountPoint(target: string, bind: BindMount, scaffolding: Set<RootPath>): RootPath {
	const root = rawPath(target);
	const destination = rawPath(bind.destination);
	const { made } = makeDirectories(root, destination.slice(0, destination.lastIndexOf('/')));
	for (const path of made) scaffolding.add(path);
	const { path, stats } = resolveInRoot(root, destination, false);
	const disk = fsPath(joinRaw(root, path));
	if (stats?.isDirectory() === true) {
		throw new BuildError('IMAGE_UNSUPPORTED', `"/${printablePath(path)}" of the image is a directory, not a file`, {
			hint: 'The build shows a file of the host there. Use another builder image.',
		});
	}
	if (stats?.isFile() !== true) {
		rmSync(disk, { force: true });
		writeFileSync(disk, '', { flag: 'wx', mode: 0o644 });
	}
	return path;
}

/** Moves `source` into the upper directory while nothing is mounted, as a directory that hides the base's. */
function place(source: string, destination: RawPath, owner: Owner, { ids, libc }: RootContext): void {
	rmSync(fsPath(destination), { recursive: true, force: true });
	renameSync(source, fsPath(destination));
	chmodSync(fsPath(destination), 0o755);
	libc.setXattr(destination, 'user.overlay.opaque', Buffer.from('y'));
	if (ownable(owner, ids)) chownTree(destination, owner);
}

function chownTree(path: RawPath, owner: Owner): void {
	const chown = (raw: string) => {
		const stats = lstatSync(fsPath(raw));
		lchownSync(fsPath(raw), owner.uid, owner.gid);
		if ((stats.mode & 0o6000) !== 0 && stats.isFile()) chmodSync(fsPath(raw), stats.mode & 0o7777);
		if (!stats.isDirectory()) return;
		for (const name of readdirSync(fsPath(raw), { encoding: 'latin1' })) chown(`${raw}/${name}`);
	};
	chown(path);
}

interface Owner {
	readonly uid: number;
	readonly gid: number;
}

function lazily<T>(make: () => T): () => T {
	let value: { readonly made: T } | undefined;
	return () => (value ??= { made: make() }).made;
}

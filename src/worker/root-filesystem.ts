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
import { type Diff, diffUpper } from '../rootfs/diff.js';
import type { LayerIndex } from '../rootfs/layer-index.js';
import type { LayerStore } from '../rootfs/layer-store.js';
import { type BaseEntry, type BaseTree, hiddenDirectories, mergeLayers } from '../rootfs/merge.js';
import { openOverlay } from '../rootfs/overlay.js';
import { type IdLimits, ownable } from '../rootfs/owner.js';
import { packLayer } from '../rootfs/pack.js';
import { sameBytes } from '../rootfs/same-bytes.js';
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
	readonly pack: (
		request: WorkerCalls['pack']['request'],
		progress: (bytes: number) => void,
		signal: AbortSignal,
	) => Promise<WorkerCalls['pack']['response']>;
	readonly unmount: () => void;
}

const READ_LIMIT = 1 << 20;
const KERNEL_DIRECTORIES: readonly string[] = ['proc', 'sys', 'dev'];

/** Mounts the layers `diffIds` (lowest first), which must be in the store. */
export function mountRootFilesystem(diffIds: readonly Digest[], context: RootContext): RootFilesystem {
	const { libc, store, scratch, target } = context;
	const lowers = diffIds.map((diffId) => store.rootOf(diffId));
	const indexes = lazily(() => diffIds.map((diffId) => readIndex(store, diffId)));
	const base = lazily(() => mergeLayers(indexes().map((index) => index.entries)));
	const overlay = openOverlay(lowers, scratch, target, libc);
	const root = rawPath(target);
	const scaffolding = new Set<RootPath>();
	const excluded = new Set<RootPath>();
	setRootAttributes(overlay.upper, base(), context.ids);
	overlay.mount();
	restoreHidden(target, indexes(), base(), context.ids);

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
				for (const directory of made) if (directory !== path) scaffolding.add(directory);
				rmSync(fsPath(joinRaw(root, path)), { recursive: true, force: true });
				mkdirSync(fsPath(joinRaw(root, path)));
				if (!placement.keep) excluded.add(path);
				return { ...placement, path };
			});
			for (const directory of makeDirectories(root, rawPath(workingDir)).made) scaffolding.add(directory);
			for (const directory of KERNEL_DIRECTORIES) addKernelDirectory(root, directory, excluded);
			const mounts = binds.map(addMountPoint);
			overlay.unmount();
			for (const { source, path, owner } of placed)
				place(source, joinRaw(rawPath(overlay.upper), path), owner, context);
			overlay.mount();
			return mounts;
		},
		pack: async ({ assembleUser, epoch, excluded: paths, output }, progress, signal) => {
			for (const path of paths) excluded.add(resolveInRoot(root, rawPath(path), false).path);
			const diff = diffRoot(overlay.upper, lowers, { base: base(), assembleUser, excluded, scaffolding }, context);
			const file = openSync(output, 'wx', 0o600);
			try {
				const layer = await packLayer(diff.changes, rawPath(overlay.upper), file, { epoch, progress }, signal);
				return { layer, statistics: diff.statistics };
			} finally {
				closeSync(file);
			}
		},
		unmount: overlay.unmount,
	};
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

function readIndex(store: LayerStore, diffId: Digest): LayerIndex {
	const index = store.readIndex(diffId);
	if (index !== undefined) return index;
	throw new BuildError('HOST_STORE', `layer ${diffId} in the store is damaged`, {
		hint: 'Remove the store and build again, or name another place with --store DIR.',
	});
}

/** The merged root directory shows the upper directory's own attributes. */
function setRootAttributes(upper: string, base: BaseTree, ids: IdLimits): void {
	const declared = base.get(ROOT)?.entry;
	if (declared === undefined) return;
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

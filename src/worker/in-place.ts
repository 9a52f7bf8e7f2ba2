import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { BuildError, errnoOf } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { readMountPoints } from '../mountinfo.js';
import type { Digest } from '../oci/digest.js';
import type { Inspected, WorkerCalls } from '../protocol/worker-calls.js';
import {
	fsPath,
	isWithin,
	joinRaw,
	latin1Path,
	parentOf,
	printablePath,
	type RawPath,
	ROOT,
	ROOT_DIRECTORY,
	type RootPath,
	rawPath,
	rootPath,
} from '../root-path.js';
import { diffUpper, NO_CHANGES } from '../rootfs/diff.js';
import type { FileUser } from '../rootfs/file-access.js';
import { type InPlaceRoot, openInPlace } from '../rootfs/in-place.js';
import { digestOpenFile } from '../rootfs/layer-digests.js';
import type { LayerStore } from '../rootfs/layer-store.js';
import { changedMeanwhile, openFile, withTree } from '../rootfs/open-tree.js';
import type { IdLimits } from '../rootfs/owner.js';
import { resolveAll } from '../rootfs/resolve-in-root.js';
import type { Stamp } from '../rootfs/stamps.js';
import { KERNEL_DIRECTORIES } from '../sandbox/kernel-paths.js';
import { diskInode } from './copy-tree.js';
import { checkImage, type DeclaredImage, isImages, namesOf, readDeclaredImage } from './in-place-check.js';
import { leaveMark, refuseMarked } from './in-place-mark.js';
import { type Outputs, openOutputs } from './in-place-outputs.js';
import { openPlacements, type Placements, readOnlyRoot } from './in-place-placements.js';
import { inspect, READ_LIMIT, type RootFilesystem, writeLayer } from './root-filesystem.js';

/** What working in place needs of the session. */
export interface InPlaceSession {
	/** Holds indexes only. */
	readonly layers: LayerStore;
	readonly scratch: string;
	readonly libc: Libc;
	/** Which owners on disk are those of the image: with one id, none is. */
	readonly ids: IdLimits;
	/** Tells people. */
	readonly notice: (message: string) => void;
	/** Another root directory than `/`, for tests. */
	readonly root?: RawPath;
}

/** The root filesystem of the job as that of an image. */
export interface InPlace {
	/** Checks that it is the image's; only then can it be mounted. Throws HOST_NOT_BUILDER. */
	readonly adopt: (request: WorkerCalls['adopt']['request'], signal: AbortSignal) => Promise<number>;
	/** The adopted image, ready to be prepared. Throws HOST_IN_PLACE for any other. */
	readonly mount: (diffIds: readonly Digest[], signal: AbortSignal) => RootFilesystem;
}

interface Adopted {
	readonly image: DeclaredImage;
	readonly diffIds: readonly Digest[];
	readonly skip: readonly RootPath[];
	readonly store: RootPath;
	readonly storeParents: readonly RootPath[];
}

const MAX_NAMED = 10;
/** What there is to know of what is neither mounted nor given to others. */
const WITHOUT_MOUNTS: Pick<RootFilesystem, 'turn' | 'copyTarget' | 'inodes' | 'shown' | 'warm' | 'listChanges'> = {
	turn: () => undefined,
	copyTarget: () => {
		throw otherImage();
	},
	inodes: () => diskInode,
	shown: () => new Set(),
	warm: () => undefined,
	listChanges: () => [],
};
/** The process sees these of the host as they are. */
const SHOWN: readonly string[] = ['/etc/resolv.conf', '/etc/hosts', '/run/s2oci/ca-bundle.crt'];

/** Works in the root filesystem that this process lives in. */
export function openInPlaceRoot(session: InPlaceSession): InPlace {
	const { layers, root = ROOT_DIRECTORY } = session;
	let adopted: Adopted | undefined;
	return {
		adopt: async ({ diffIds, files, skip, tools, ...request }, signal) => {
			const store = hostPath(request.store);
			const image = readDeclaredImage(diffIds, layers);
			const brought = tools.map(hostPath).filter((path) => !image.base.has(path));
			const own = [...skip.map(hostPath), ...brought].filter((path) => path !== ROOT);
			const foreign = new Set([...mountsBelow(root), ...own, store]);
			const compared = await checkImage(image, { always: files.map(hostPath), foreign, root }, signal);
			adopted = { image, diffIds, skip: own, store, storeParents: request.storeParents.map(hostPath) };
			return compared;
		},
		mount: (diffIds, signal) => {
			if (adopted?.diffIds.join() !== diffIds.join()) throw otherImage();
			return openLiveImage(adopted, session, signal);
		},
	};
}

function openLiveImage(adopted: Adopted, session: InPlaceSession, signal: AbortSignal): RootFilesystem {
	const { libc, scratch, ids, notice, root = ROOT_DIRECTORY } = session;
	const { skip, store, storeParents } = adopted;
	const { base, digests } = adopted.image;
	let workingDir: RootPath = ROOT;
	const foreign = () => new Set([...mountsBelow(root), store, ...skip.filter((path) => !isWithin(workingDir, path))]);
	// A checkout that WORKDIR is in may be written to with the very bytes and times that it has.
	const isSource = (path: RootPath) => skip.some((each) => isWithin(workingDir, each) && isWithin(path, each));
	const isDeclared = (path: RootPath) => base.has(path) || isSource(path);
	const isOwn = (path: RootPath, stamp: Stamp) => isImages(path, stamp, adopted.image, root);
	const directory = openInPlace({ foreign, scratch, libc, root, isDeclared, isImages: isOwn });
	const { isReadable } = directory;
	const outputs = openOutputs({ root, libc, base, isImages: isOwn, isReadable, notice });
	const placements = openPlacements(root, { libc, ids, base }, signal);
	const scaffolding = () => new Set([...placements.scaffolding, ...storeParents]);
	const excluded = new Set<RootPath>(KERNEL_DIRECTORIES);
	let diff = NO_CHANGES;
	let isBuild = false;
	return {
		...WITHOUT_MOUNTS,
		path: root,
		inspect: (stat, read) => [...inspect(root, stat, []), ...read.flatMap((path) => readOne(path, root, outputs))],
		prepare: async (request) => {
			refuseMarked(root, rawPath(request.workingDir));
			workingDir = await placeAll(request, placements);
			isBuild = request.placements.some(({ keep }) => !keep);
			const lost = [...foreign()].find((path) => isWithin(workingDir, path));
			if (lost !== undefined) throw lost === store ? inStore(workingDir, store) : onVolume(workingDir, lost);
			refuseReadOnly(joinRaw(root, workingDir));
			for (const { path, keep } of placements.placed()) if (!keep) excluded.add(path);
			for (const path of request.outputs ?? []) outputs.expect(rawPath(path));
			directory.stamp(placements.placed(), userOf(request, ids));
			return [];
		},
		diff: ({ assembleUser, excluded: paths }) => {
			for (const path of resolveAll(root, paths.map(rawPath))) excluded.add(path);
			const found = directory.scan(excluded);
			diff = withTree(root, libc, (tree) => {
				const sameContent = (path: RootPath, { layer }: { readonly layer: number }) =>
					digests[layer]?.get(path) === digestOpenFile(openFile(tree, path));
				return diffUpper(found, { base, ids, assembleUser, sameContent, scaffolding: scaffolding() });
			});
			tellHidden(directory.hidden(), notice);
			return diff.statistics;
		},
		pack: (request, progress, stop) => {
			// Nothing keeps assemble from emptying the directory that the store is in.
			makePath(dirname(request.output), 0o700);
			return writeLayer(diff, { root, libc, check: checkReadable(directory) }, request, progress, stop);
		},
		unmount: () => {
			directory.restore();
			placements.remove();
			if (isBuild) leaveMark(root, workingDir, libc);
		},
	};
}

/** Puts everything in place; returns where the working directory really is. */
async function placeAll(
	{ placements, binds, workingDir, user }: WorkerCalls['prepare']['request'],
	target: Placements,
): Promise<RootPath> {
	for (const { source, destination, keep, owner } of placements)
		await target.move(rawPath(source), rawPath(destination), { keep, owner });
	for (const bind of binds) if (!SHOWN.includes(bind.destination)) await target.show(bind, user);
	return target.directory(rawPath(workingDir));
}

function readOne(path: string, root: RawPath, outputs: Outputs): readonly Inspected[] {
	const written = outputs.read(rawPath(path), READ_LIMIT);
	return written === undefined ? inspect(root, [], [path]) : [{ path, ...written }];
}

/** Who the process runs as; undefined when it is this process's user: root that cannot become another, or any other user. */
function userOf({ user }: WorkerCalls['prepare']['request'], ids: IdLimits): FileUser | undefined {
	return ids.uids > 1 && user !== undefined && user.uid !== 0 ? user : undefined;
}

/** What assemble made may be exchanged, by a process of its user that somebody else has left, until it is read. */
function checkReadable({ isReadable }: InPlaceRoot): (path: RootPath, file: number) => void {
	return (path, file) => {
		if (!isReadable(path, file)) throw changedMeanwhile(path);
	};
}

function tellHidden(paths: readonly RootPath[], notice: (message: string) => void): void {
	const all = new Set(paths);
	const topmost = paths.filter((path) => !all.has(parentOf(path)));
	if (topmost.length === 0) return;
	const named = namesOf(topmost, MAX_NAMED);
	notice(`left out is what the user of assemble could not read where it was before: ${named}`);
}

/** Mount points, without the root's own: the runtime or the platform put something there. */
function mountsBelow(root: RawPath): readonly RootPath[] {
	const prefix = root.endsWith('/') ? root : `${root}/`;
	return readMountPoints().flatMap((point) =>
		point.startsWith(prefix) && point !== prefix ? [rootPath(latin1Path(point.slice(prefix.length)))] : [],
	);
}

function hostPath(path: string): RootPath {
	return rootPath(rawPath(path));
}

function otherImage(): BuildError {
	return new BuildError('HOST_IN_PLACE', 'in place, there is no other root filesystem than that of the builder image', {
		hint: 'Build on a host that gives user namespaces, or without what needs another image.',
	});
}

/** A directory that this user may not write is the image's business; one that nobody can write is that of the job. */
function refuseReadOnly(workingDir: RawPath): void {
	try {
		accessSync(fsPath(workingDir), constants.W_OK);
	} catch (error) {
		if (errnoOf(error) === 'EROFS') throw readOnlyRoot(workingDir, error);
	}
}

function inStore(workingDir: RootPath, store: RootPath): BuildError {
	const message = `WORKDIR /${printablePath(workingDir)} of the builder image is in the store /${printablePath(store)}, of which nothing is in a layer`;
	return new BuildError('HOST_IN_PLACE', message, { hint: 'Name another directory with --store DIR or S2OCI_STORE.' });
}

function onVolume(workingDir: RootPath, mount: RootPath): BuildError {
	const message = `WORKDIR /${printablePath(workingDir)} of the builder image is on a volume of this job, mounted at /${printablePath(mount)}`;
	return new BuildError('HOST_IN_PLACE', `${message}, so what assemble makes there is in no layer`, {
		hint: 'Mount the volume elsewhere.',
	});
}

import { chmodSync, lstatSync, renameSync } from 'node:fs';
import { BuildError, errnoOf, explaining, succeeds } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import type { HostBind } from '../protocol/host-bind.js';
import { removeBeneath, removeEmptyBeneath, removeTree } from '../remove-tree.js';
import type { RawPath, RootPath } from '../root-path.js';
import { childOf, fsPath, latin1Path, nameIn, printablePath, ROOT, rawPath } from '../root-path.js';
import type { Placed } from '../rootfs/in-place.js';
import type { BaseTree } from '../rootfs/merge.js';
import { type IdLimits, type Owner, ownable } from '../rootfs/owner.js';
import { type CheckLink, resolveChecked } from '../rootfs/resolve-in-root.js';
import { isKernels } from '../sandbox/kernel-paths.js';
import { createHostCopier } from './copy-host.js';
import { createCopier } from './copy-tree.js';
import { fillApart, type HeldDirectory, holdDirectory } from './held-directory.js';
import { misplaced } from './mount-point.js';
import { chownTree } from './prepare-root.js';

/** What a build puts into the live root filesystem, and takes out again. */
export interface Placements {
	/** Moves the host's directory `source` to `destination`, where nothing may be. */
	readonly move: (
		source: RawPath,
		destination: RawPath,
		as: { readonly keep: boolean; readonly owner: Owner },
	) => Promise<void>;
	/** Copies what of the host the process is to see to where nothing may be, for `user`; it does not become part of the image. */
	readonly show: (bind: HostBind, user: Owner | undefined) => Promise<void>;
	/** Makes the directory `path` where it is missing; returns where it really is. */
	readonly directory: (path: RawPath) => RootPath;
	readonly placed: () => readonly Placed[];
	/** Directories that are there for placements only. */
	readonly scaffolding: ReadonlySet<RootPath>;
	/** Takes out all of it; directories stay when something else is in them. */
	readonly remove: () => void;
}

/** What comes of a process that exchanges what is placed, or where. */
const CHANGED: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EEXIST', 'ENOTEMPTY', 'EISDIR'];
const ANY_ID = { uids: Number.MAX_SAFE_INTEGER, gids: Number.MAX_SAFE_INTEGER };

/** Where placements go, and whose they may be. */
export interface PlacementContext {
	readonly libc: Libc;
	readonly ids: IdLimits;
	readonly base: BaseTree;
}

/**
 * Placements below `root`. With one id all belongs to this process's user. What becomes another user's does so where only this one can reach
 * it, and is then moved to its place by descriptor: a process of that user may be there already. Its functions throw IMAGE_UNSUPPORTED for
 * what leads to the kernel's directories, HOST_IN_PLACE for what is there already, may not be written, changes meanwhile or leads through a
 * link of somebody else, HOST_NO_SPACE.
 */
export function openPlacements(root: RawPath, { libc, ids, base }: PlacementContext, signal: AbortSignal): Placements {
	const placed: Placed[] = [];
	const scaffolding = new Set<RootPath>();
	const checkLink = createLinkCheck(base);
	const ownerFor = (owner: Owner | undefined) =>
		owner !== undefined && ids.uids > 1 && ownable(owner, ids) ? owner : undefined;
	const hold = (path: RawPath): HeldDirectory & { readonly real: RootPath } => {
		const { path: real } = resolveChecked(root, path, checkLink);
		if (isKernels(real)) throw misplaced(path, real);
		const held = writable(path, () => holdDirectory(root, real));
		for (const each of held.made) scaffolding.add(each);
		return { ...held, real };
	};
	const put = async (destination: RawPath, keep: boolean, work: (parent: RawPath, name: string) => Promise<void>) => {
		const slash = destination.lastIndexOf('/');
		const [above, name] = [latin1Path(destination.slice(0, slash)), destination.slice(slash + 1)];
		using parent = hold(above);
		const path = childOf(parent.real, name);
		if (isKernels(path)) throw misplaced(destination, path);
		const there = lstatSync(fsPath(nameIn(parent.path, name)), { throwIfNoEntry: false });
		if (there !== undefined) throw occupied(path);
		placed.push({ path, keep });
		await writable(path, () => work(parent.path, name));
	};
	return {
		move: (source, destination, { keep, owner }) =>
			put(trimmed(destination), keep, (parent, name) =>
				moveInto(parent, name, { source, owner: ownerFor(owner), libc }, signal),
			),
		show: async ({ source, destination }, user) => {
			if (source.type === 'itself') throw unmountable(destination);
			const copy = createHostCopier(ownerFor(user), libc);
			await put(trimmed(rawPath(destination)), false, (parent, name) =>
				fillApart(parent, name, (place) => copy(source, place)),
			);
		},
		directory: (path) => {
			using held = hold(path);
			return held.real;
		},
		placed: () => placed,
		scaffolding,
		remove: () => {
			for (const { path } of placed.splice(0)) removeBeneath(root, path);
			for (const path of [...scaffolding].reverse()) removeEmptyBeneath(root, path);
		},
	};
}

/**
 * Refuses links that neither the image, which is `base`, nor root nor this user made: another step of the job may have left them. Throws
 * HOST_IN_PLACE.
 */
export function createLinkCheck(base: BaseTree): CheckLink {
	const trusted = [0, process.getuid?.() ?? 0];
	return (path, target, { uid }) => {
		const declared = base.get(path)?.entry;
		const isImages = declared?.type === 'symlink' && declared.target === target;
		if (!trusted.includes(uid) && !isImages) throw foreignLink(path, uid);
	};
}

function foreignLink(path: RootPath, uid: number): BuildError {
	const message = `"/${printablePath(path)}" of this container is a link of user ${uid}, which the builder image does not have`;
	return new BuildError('HOST_IN_PLACE', message, {
		hint: 'The build puts and reads nothing where a link of another user leads. Remove it, or choose another --destination.',
	});
}

interface Moved {
	readonly source: RawPath;
	/** Whose it becomes; undefined when it stays this process's. */
	readonly owner: Owner | undefined;
	readonly libc: Libc;
}

/** Moves `source`, which only this process can reach, to `name` in the directory `parent`. */
async function moveInto(parent: RawPath, name: string, moved: Moved, signal: AbortSignal): Promise<void> {
	const { source, owner, libc } = moved;
	const own = (place: RawPath) => {
		chmodSync(fsPath(place), 0o755);
		if (owner !== undefined) chownTree(place, owner);
	};
	own(source);
	// To another file system it cannot be renamed.
	if (succeeds(() => renameSync(fsPath(source), fsPath(nameIn(parent, name))), ['EXDEV'])) return;
	await fillApart(parent, name, async (place) => {
		await copyTree(source, place, libc, signal);
		own(place);
	});
	removeTree(source);
}

/** Copies `source` to `place`, whose directory only this process can reach. */
function copyTree(source: RawPath, place: RawPath, libc: Libc, signal: AbortSignal): Promise<void> {
	const slash = place.lastIndexOf('/');
	const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
	const target = { root: latin1Path(place.slice(0, slash)), ids: ANY_ID, libc, claim: () => undefined };
	const copier = createCopier(target, { ownerOf: () => me, mode: undefined }, signal);
	return copier.copy(source, childOf(ROOT, place.slice(slash + 1)));
}

function trimmed(path: RawPath): RawPath {
	return latin1Path(path.replace(/\/+$/, ''));
}

function writable<T>(path: RawPath, work: () => T): T {
	return explaining(work, (error) => {
		if (errnoOf(error) === 'EROFS') throw readOnlyRoot(path, error);
		if (CHANGED.includes(errnoOf(error))) throw changedMeanwhile(path, error);
		if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
		throw new BuildError(
			'HOST_IN_PLACE',
			`user ${process.getuid?.() ?? 0} may not make "/${printablePath(path).replace(/^\/+/, '')}" in this container`,
			{
				hint: 'Run the job as the user of the builder image, or in group 0, with a root filesystem that can be written.',
				cause: error,
			},
		);
	});
}

/** HOST_IN_PLACE for a container whose root filesystem nobody can write, as `path` in it showed. */
export function readOnlyRoot(path: RawPath, cause: unknown): BuildError {
	const shown = printablePath(path).replace(/^\/*/, '/');
	return new BuildError('HOST_IN_PLACE', `the root filesystem of this container is read-only, ${shown} as well`, {
		hint: 'In place, assemble writes to it: run the job without readOnlyRootFilesystem: true (Kubernetes, OpenShift) or --read-only (Docker, Podman).',
		cause,
	});
}

function unmountable(destination: string): BuildError {
	return new BuildError('HOST_IN_PLACE', `nothing can be mounted at ${destination} of this container`, {
		hint: 'Use --inject instead of --volume, or mount it into the job.',
	});
}

function occupied(path: RootPath): BuildError {
	return new BuildError('HOST_IN_PLACE', `"/${printablePath(path)}" of this container exists already`, {
		hint: 'The build puts its own there and takes it out at the end. Remove what another build has left there.',
	});
}

function changedMeanwhile(path: RawPath, cause: unknown): BuildError {
	const shown = printablePath(path).replace(/^\/*/, '/');
	return new BuildError('HOST_IN_PLACE', `"${shown}" of this container was changed while the build put its own there`, {
		hint: 'A process that an earlier step of the job has left may do that. End it, or build in a container of its own.',
		cause,
	});
}

import { chmodSync, renameSync } from 'node:fs';
import { BuildError, errnoOf } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import type { HostBind } from '../protocol/host-bind.js';
import { removeBeneath, removeEmptyBeneath, removeTree } from '../remove-tree.js';
import {
	childOf,
	fsPath,
	joinRaw,
	latin1Path,
	printablePath,
	type RawPath,
	type RootPath,
	rawPath,
} from '../root-path.js';
import type { Placed } from '../rootfs/in-place.js';
import { type IdLimits, type Owner, ownable } from '../rootfs/owner.js';
import { makeDirectories, resolveInRoot } from '../rootfs/resolve-in-root.js';
import { isKernels } from '../sandbox/kernel-paths.js';
import { createHostCopier } from './copy-host.js';
import { createCopier } from './copy-tree.js';
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
	readonly show: (bind: HostBind, user: Owner | undefined) => void;
	/** Makes the directory `path` where it is missing; returns where it really is. */
	readonly directory: (path: RawPath) => RootPath;
	readonly placed: () => readonly Placed[];
	/** Directories that are there for placements only. */
	readonly scaffolding: ReadonlySet<RootPath>;
	/** Takes out all of it; directories stay when something else is in them. */
	readonly remove: () => void;
}

const ANY_ID = { uids: Number.MAX_SAFE_INTEGER, gids: Number.MAX_SAFE_INTEGER };

/**
 * Placements below `root`. With one id all belongs to this process's user. Its functions throw IMAGE_UNSUPPORTED for what leads to the kernel's
 * directories or may not be written, HOST_IN_PLACE for what is there already, HOST_NO_SPACE.
 */
export function openPlacements(
	root: RawPath,
	{ libc, ids }: { readonly libc: Libc; readonly ids: IdLimits },
	signal: AbortSignal,
): Placements {
	const placed: Placed[] = [];
	const scaffolding = new Set<RootPath>();
	const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
	const target = { root, ids: ANY_ID, libc, claim: () => undefined };
	const copier = createCopier(target, { ownerOf: () => me, mode: undefined }, signal);
	const ownerFor = (owner: Owner | undefined) =>
		owner !== undefined && ids.uids > 1 && ownable(owner, ids) ? owner : undefined;
	const directory = (path: RawPath): RootPath => {
		const { path: real, made } = writable(path, () => makeDirectories(root, path));
		for (const each of made) scaffolding.add(each);
		if (isKernels(real)) throw misplaced(path, real);
		return real;
	};
	const free = (destination: RawPath, keep: boolean): RootPath => {
		const slash = destination.lastIndexOf('/');
		const path = childOf(directory(latin1Path(destination.slice(0, slash))), destination.slice(slash + 1));
		if (resolveInRoot(root, path, false).stats !== undefined) throw occupied(path);
		if (isKernels(path)) throw misplaced(destination, path);
		placed.push({ path, keep });
		return path;
	};
	const copyTo = (source: RawPath, path: RootPath) => writable(path, () => copier.copy(source, path));
	return {
		move: async (source, destination, { keep, owner }) => {
			const path = free(trimmed(destination), keep);
			if (!writable(path, () => renamed(source, joinRaw(root, path)))) {
				await copyTo(source, path);
				removeTree(source);
			}
			chmodSync(fsPath(joinRaw(root, path)), 0o755);
			const real = ownerFor(owner);
			if (real !== undefined) chownTree(joinRaw(root, path), real);
		},
		show: ({ source, destination }, user) => {
			if (source.type === 'itself') throw unmountable(destination);
			const path = free(trimmed(rawPath(destination)), false);
			const place = joinRaw(root, path);
			const shown = createHostCopier(ownerFor(user), libc);
			if (source.type === 'copy') writable(path, () => shown.tree(source, place, source.mode));
			else writable(path, () => shown.content(Buffer.from(source.base64, 'base64'), source.mode, place));
		},
		directory,
		placed: () => placed,
		scaffolding,
		remove: () => {
			for (const { path } of placed.splice(0)) removeBeneath(root, path);
			for (const path of [...scaffolding].reverse()) removeEmptyBeneath(root, path);
		},
	};
}

/** Whether `source` could be renamed; to another file system it cannot. */
function renamed(source: RawPath, disk: RawPath): boolean {
	try {
		renameSync(fsPath(source), fsPath(disk));
		return true;
	} catch (error) {
		if (errnoOf(error) === 'EXDEV') return false;
		throw error;
	}
}

function trimmed(path: RawPath): RawPath {
	return latin1Path(path.replace(/\/+$/, ''));
}

function writable<T>(path: RawPath, work: () => T): T {
	const explain = (error: unknown): never => {
		if (errnoOf(error) === 'EROFS') throw readOnlyRoot(path, error);
		if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
		throw new BuildError(
			'HOST_IN_PLACE',
			`user ${process.getuid?.() ?? 0} may not make "/${printablePath(path).replace(/^\/+/, '')}" in this container`,
			{
				hint: 'Run the job as the user of the builder image, or in group 0, with a root filesystem that can be written.',
				cause: error,
			},
		);
	};
	try {
		const result = work();
		return (result instanceof Promise ? result.catch(explain) : result) as T;
	} catch (error) {
		return explain(error);
	}
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

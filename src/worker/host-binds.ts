import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError } from '../errors.js';
import { type Libc, MS_BIND, MS_NODEV, MS_NOSUID, MS_RDONLY, MS_REC, MS_REMOUNT } from '../linux/libc.js';
import { lockedFlags, readMounts } from '../mountinfo.js';
import type { HostBind, HostFile } from '../protocol/host-bind.js';
import { removeBeneath } from '../remove-tree.js';
import { fdPath, isWithin, rawPath } from '../root-path.js';
import { type IdLimits, type Owner, ownable } from '../rootfs/owner.js';
import type { BindMount } from '../sandbox/sandbox.js';
import { COPY_LIMIT, createHostCopier } from './copy-host.js';
import { withHostFile } from './host-file.js';

export interface HostBindContext {
	/** A directory that every id can reach, and where directories can be made. */
	readonly directory: string;
	readonly libc: Libc;
	readonly ids: IdLimits;
}

/** Binds that a sandbox can mount. */
export interface ShownBinds {
	readonly binds: readonly BindMount[];
	/** Undoes the mounts behind them, among which may be the host's own directories. */
	readonly release: () => void;
}

/** What a tmpfs needs beside the content. */
const OVERHEAD = 16 << 20;

/**
 * Puts the sources of `binds`, whose destinations are real and have mount points, where every id can reach them: copies on a read-only
 * tmpfs, as files of `owner` with their modes, links as links, without `.git`; the host's own bind mounted. Throws USAGE when
 * destinations lie in one another, when there is too much to copy, or when it cannot be read or is no more what was found.
 */
export function showBinds(
	binds: readonly HostBind[],
	owner: Owner,
	{ directory, libc, ids }: HostBindContext,
): ShownBinds {
	if (binds.length === 0) return { binds: [], release: () => undefined };
	refuseNested(binds.map((bind) => bind.destination));
	const parent = mkdtempSync(join(directory, 'shown-'));
	const options = `mode=0755,size=${COPY_LIMIT + OVERHEAD}`;
	libc.mount(rawPath('s2oci'), rawPath(parent), 'tmpfs', MS_NODEV | MS_NOSUID, options);
	const copy = createHostCopier(ownable(owner, ids) ? owner : undefined, libc);
	const places: string[] = [];
	const release = () => {
		for (const place of places.splice(0)) libc.unmount(rawPath(place));
		libc.unmount(rawPath(parent));
	};
	const show = (bind: HostBind, place: string): BindMount => {
		const { source, destination, type, readOnly } = bind;
		if (source.type !== 'itself') copy(source, rawPath(place));
		else {
			mountSource(source, place, type, libc);
			places.push(place);
			if (readOnly) closeMounts(place, libc);
		}
		return { source: place, destination, type, readOnly };
	};
	try {
		const shown = binds.map((bind, index) => show(bind, join(parent, String(index))));
		libc.mount(rawPath('s2oci'), rawPath(parent), '', MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID, '');
		return { binds: shown, release };
	} catch (error) {
		// What stayed mounted here would be emptied with the scratch directory.
		release();
		throw error;
	}
}

/**
 * Where nothing can be mounted: puts copies at their mount points in the root filesystem at `root`, which never enter a layer, and
 * returns what removes them. Throws USAGE for the host's own directories, which take a mount.
 */
export function placeBinds(
	root: string,
	binds: readonly HostBind[],
	owner: Owner,
	{ libc, ids }: Pick<HostBindContext, 'libc' | 'ids'>,
): () => void {
	refuseNested(binds.map((bind) => bind.destination));
	const copy = createHostCopier(ownable(owner, ids) ? owner : undefined, libc);
	for (const { source, destination } of binds) {
		if (source.type === 'itself') throw unmountable(source.path);
		removeBeneath(rawPath(root), rawPath(destination));
		copy(source, rawPath(join(root, destination)));
	}
	// The process may have put a link in place of any directory since.
	return () => {
		for (const { destination } of binds) removeBeneath(rawPath(root), rawPath(destination));
	};
}

function unmountable(source: string): BuildError {
	return new BuildError('USAGE', `--volume: ${source} cannot be mounted, since this host allows no mounts`, {
		hint: 'Use --inject for files that are only read, or run the job with CAP_SYS_ADMIN or user namespaces.',
	});
}

/** A sandbox makes mount points that are missing, and what is missing in a directory of the host it would make there. */
function refuseNested(destinations: readonly string[]): void {
	const sorted = destinations.map((path) => `${path}/`).sort();
	sorted.forEach((path, index) => {
		const outer = sorted[index - 1];
		if (outer === undefined || !path.startsWith(outer)) return;
		throw new BuildError('USAGE', `${path.slice(0, -1)} is in ${outer.slice(0, -1)}, where something else is mounted`, {
			hint: 'Give each --inject, --volume and --secret a destination outside of all others.',
		});
	});
}

/** The directories above the source may be closed to the ids of the image, so the sandbox gets it from here. */
function mountSource(source: HostFile, place: string, type: HostBind['type'], libc: Libc): void {
	if (type === 'directory') mkdirSync(place);
	else writeFileSync(place, '');
	withHostFile(source, libc, (fd) => libc.mount(fdPath(fd), rawPath(place), '', MS_BIND | MS_REC, ''));
}

/** A bind mount that is read-only leaves what is mounted below it writable. */
function closeMounts(place: string, libc: Libc): void {
	const raw = rawPath(place);
	for (const mount of readMounts().filter(({ path }) => isWithin(path, raw)))
		libc.mount(rawPath('none'), mount.path, '', lockedFlags(mount) | READ_ONLY, '');
}

const READ_ONLY = MS_REMOUNT | MS_BIND | MS_RDONLY;

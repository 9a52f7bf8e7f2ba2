import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';
import { exchangeable, findStore, refuseExchangeable } from '../../host/store-place.js';
import { ownDirectory, realOf } from '../../host-path.js';
import { findMount, type Mount } from '../../mountinfo.js';
import { isInPlace } from '../../sandbox/ladder.js';
import { mountsHere } from '../doctor/facts.js';
import type { HostRequest } from '../request.js';

type StoreRequest = Pick<HostRequest, 'store' | 'storeByDefault' | 'rootfs' | 'isolation' | 'env'>;

/** Directories that platforms give a job on a volume, best first, then those for temporary files. */
const VOLUMES: readonly string[] = ['RUNNER_TEMP', 'CI_BUILDS_DIR', 'TMPDIR'];
const TEMPORARY: readonly string[] = ['/tmp', '/var/tmp'];
const OF_CONTAINERS: readonly string[] = ['/.dockerenv', '/run/.containerenv'];

/** `request` with the directory that its store really is, which is safe to use, and what has to be made to have it. Throws HOST_STORE. */
export function settleStore<T extends StoreRequest>(request: T): T {
	const store = findStore(chooseStore(request));
	checkAbove({ ...request, store });
	return { ...request, store, storeParents: missingAbove(store) };
}

/**
 * Throws HOST_STORE when another user could exchange the store of `request` while root builds in place, where processes of other users work
 * beside it. What is missing is judged once it is made.
 */
export function checkAbove({ store, rootfs }: StoreRequest): void {
	if (isInPlace(rootfs) && process.geteuid?.() === 0) refuseExchangeable(store);
}

/**
 * The store of `request`. One that nobody named is never below the home of a job in a container where it may come to a build in place:
 * there, HOME is mostly WORKDIR of the image, and assemble would meet the store. It is then on a volume of the job, or in /tmp.
 */
export function chooseStore(request: StoreRequest): string {
	return request.storeByDefault === true && mayBeInPlace(request) ? outsideImage(request) : request.store;
}

function mayBeInPlace({ rootfs, isolation }: StoreRequest): boolean {
	if (isInPlace(rootfs)) return true;
	return rootfs === 'auto' && isolation === 'auto' && process.getuid?.() !== 0 && isContainer(mountsHere());
}

/** The default unless it is in the root file system of this container, which is that of its image. */
function outsideImage({ store, env }: StoreRequest): string {
	const mounts = mountsHere();
	if (!isInRoot(store, mounts) && !mayBeExchanged(store)) return store;
	const volumes = [...VOLUMES.flatMap((name) => env[name] ?? []), ...TEMPORARY];
	const usable = (path: string) => isAbsolute(path) && isWritable(path) && !mayBeExchanged(ownDirectory(path));
	const found = volumes.find((path) => usable(path) && !isInRoot(path, mounts));
	const place = found ?? TEMPORARY.find(usable) ?? (mayBeExchanged(store) ? TEMPORARY.find(isWritable) : undefined);
	return place === undefined ? store : ownDirectory(place);
}

/** Whether another user could do that while root works there. */
function mayBeExchanged(store: string): boolean {
	return process.geteuid?.() === 0 && exchangeable(store) !== undefined;
}

function isInRoot(path: string, mounts: readonly Mount[]): boolean {
	return (findMount(mounts, realOf(path))?.path ?? '/') === '/';
}

/** Root directories of containers are overlays, parts of another file system, or no mount points at all. */
function isContainer(mounts: readonly Mount[]): boolean {
	const root = mounts.findLast(({ path }) => path === '/');
	if (root === undefined || /overlay|aufs/.test(root.type) || OF_CONTAINERS.some((path) => existsSync(path)))
		return true;
	return root.root !== '/' && root.type !== 'btrfs';
}

function isWritable(directory: string): boolean {
	try {
		accessSync(directory, constants.W_OK | constants.X_OK);
		return true;
	} catch {
		return false;
	}
}

/** The directories above `path` that do not exist, outermost first. */
function missingAbove(path: string): readonly string[] {
	const missing: string[] = [];
	for (let at = dirname(path); !existsSync(at) && at !== dirname(at); at = dirname(at)) missing.push(at);
	return missing.reverse();
}

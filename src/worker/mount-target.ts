import { statSync } from 'node:fs';
import { join } from 'node:path';
import { realOf } from '../host-path.js';
import { type Libc, MS_NODEV, MS_NOSUID } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { isWithin, rawPath } from '../root-path.js';

/** Directories that are there and are rarely used for anything. */
const CANDIDATES: readonly string[] = [
	'/mnt',
	'/media',
	'/srv',
	'/opt',
	'/var/opt',
	'/var/local',
	'/usr/local/games',
	'/usr/games',
	'/boot',
	'/var/mail',
];

/** Where root filesystems are mounted. */
export interface MountTarget {
	/** Makes the empty directory for the root filesystem `name`; undefined where nothing can be mounted. */
	readonly rootfs: (name: string) => string | undefined;
}

/**
 * A directory that every id of the image can reach, for mounting root filesystems: on a small tmpfs over a directory of the host
 * that holds nothing `inUse`, which only our mount namespace sees. Falls back to `scratch`, which only its owner can reach.
 */
export function openMountTarget(
	{ scratch, inUse }: { readonly scratch: string; readonly inUse: readonly string[] },
	libc: Libc,
): MountTarget {
	const real = [scratch, ...inUse].flatMap((path) => [path, realOf(path)]);
	for (const candidate of CANDIDATES) {
		try {
			if (real.some((path) => isWithin(path, candidate)) || !statSync(candidate).isDirectory()) continue;
			libc.mount(rawPath('s2oci'), rawPath(candidate), 'tmpfs', MS_NODEV | MS_NOSUID, 'mode=0755,size=16m');
			return makeTarget(candidate);
		} catch {
			// The next one may do.
		}
	}
	return makeTarget(scratch);
}

/** For a worker that cannot mount: files to show are copied beside the root filesystems. */
export function openScratchTarget(scratch: string): MountTarget {
	return { ...makeTarget(scratch), rootfs: () => undefined };
}

function makeTarget(parent: string): MountTarget {
	return {
		rootfs: (name) => {
			const rootfs = join(parent, `rootfs-${name}`);
			makePath(rootfs, 0o755);
			return rootfs;
		},
	};
}

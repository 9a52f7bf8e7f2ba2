import { chmodSync, copyFileSync, mkdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Libc, MS_NODEV, MS_NOSUID } from '../linux/libc.js';
import { rawPath } from '../root-path.js';

const CANDIDATES: readonly string[] = ['/mnt', '/media', '/srv', '/opt'];

/** Where the root filesystem is mounted, and a place beside it for files to show in it. */
export interface MountTarget {
	readonly rootfs: string;
	/** Copies a file of the host to where every id can read it; returns the copy's path. */
	readonly expose: (file: string) => string;
}

/**
 * A directory that every id of the image can reach, for mounting the root filesystem: on a small tmpfs over a directory of the host
 * that nothing here uses, which only our mount namespace sees. Falls back to `scratch`, which only its owner can reach.
 */
export function openMountTarget(scratch: string, libc: Libc): MountTarget {
	for (const candidate of CANDIDATES) {
		try {
			if (!relative(candidate, scratch).startsWith('..') || !statSync(candidate).isDirectory()) continue;
			libc.mount('s2oci', rawPath(candidate), 'tmpfs', MS_NODEV | MS_NOSUID, 'mode=0755,size=16m');
			return makeTarget(candidate);
		} catch {
			// The next one may do.
		}
	}
	return makeTarget(scratch);
}

function makeTarget(parent: string): MountTarget {
	const rootfs = join(parent, 'rootfs');
	mkdirSync(rootfs, { mode: 0o755 });
	let exposed = 0;
	return {
		rootfs,
		expose: (file) => {
			const copy = join(parent, `file-${String(exposed++)}`);
			copyFileSync(file, copy);
			chmodSync(copy, 0o644);
			return copy;
		},
	};
}

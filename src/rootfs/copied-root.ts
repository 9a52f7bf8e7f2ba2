import { join } from 'node:path';
import { type Libc, MS_BIND, MS_NODEV, MS_REMOUNT } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { lockedFlags, readMounts } from '../mountinfo.js';
import { ROOT, rawPath } from '../root-path.js';
import { copyLayers } from './copy.js';
import type { BaseTree } from './merge.js';
import type { RootDirectory } from './root-directory.js';
import { awaitNextTick, scanChanges, stampTree } from './stamps.js';

/** Where a copied root filesystem is, and where it is to be seen. */
export interface CopyPlace {
	/** Private directory; the copy is made below it. */
	readonly scratch: string;
	/** Directory that every id can reach, to show the copy at; undefined where nothing can be mounted: it is then shown where it is. */
	readonly target: string | undefined;
}

/**
 * A copy of the merged tree `base` of the unpacked layers `lowers`, for hosts that refuse overlays. What is changed in it is found by one
 * walk that compares inode, change time, size and mode; file contents are not read. Throws HOST_NO_SPACE.
 */
export async function openCopy(
	base: BaseTree,
	lowers: readonly string[],
	{ scratch, target }: CopyPlace,
	libc: Libc,
	signal: AbortSignal,
): Promise<RootDirectory> {
	const copy = join(scratch, 'rootfs');
	makePath(copy, 0o755);
	await copyLayers(base, lowers, copy, libc, signal);
	const stamps = stampTree({ root: rawPath(copy), skip: new Set() }, libc);
	awaitNextTick(stamps, scratch);
	let mounted = false;
	const unmount = () => {
		if (mounted && target !== undefined) libc.unmount(rawPath(target));
		mounted = false;
	};
	return {
		path: target ?? copy,
		changed: copy,
		mount: () => {
			if (target === undefined || mounted) return;
			libc.mount(rawPath(copy), rawPath(target), '', MS_BIND, '');
			mounted = true;
			libc.mount(ROOT, rawPath(target), '', MS_BIND | MS_REMOUNT | MS_NODEV | flagsAt(target), '');
		},
		unmount,
		close: unmount,
		hideBelow: () => undefined,
		scan: (skip) => scanChanges({ root: rawPath(copy), skip }, stamps, libc),
	};
}

function flagsAt(target: string): number {
	const mount = readMounts().findLast(({ path }) => path === rawPath(target));
	return mount === undefined ? 0 : lockedFlags(mount);
}

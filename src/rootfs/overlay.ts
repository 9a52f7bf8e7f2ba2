import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { type Libc, MS_NODEV } from '../linux/libc.js';
import { rawPath } from '../root-path.js';

/** The directories of one overlay, below one private directory. */
export interface Overlay {
	/** Holds what was changed. */
	readonly upper: string;
	readonly target: string;
	readonly mount: () => void;
	readonly unmount: () => void;
}

const MAX_LAYERS = 500;

/**
 * An overlay of `lowers` (lowest first) below `scratch`, not yet mounted. `userxattr` lets an unprivileged user namespace mount it,
 * `volatile` spares it the syncs of a throw-away directory (its mark in the work directory would forbid a second mount). Lower directories are named by one-number links relative to the working
 * directory, which this sets, because all options must fit one page. Throws HOST_NO_OVERLAY.
 */
export function openOverlay(lowers: readonly string[], scratch: string, target: string, libc: Libc): Overlay {
	if (lowers.length > MAX_LAYERS) {
		throw new BuildError('IMAGE_UNSUPPORTED', `the image has ${lowers.length} layers; the kernel stacks at most 500`, {
			hint: 'Squash the builder image.',
		});
	}
	for (const name of ['upper', 'work', 'links', 'empty'])
		mkdirSync(join(scratch, name), { recursive: true, mode: 0o755 });
	const stack = lowers.length === 0 ? [join(scratch, 'empty')] : lowers;
	for (const [number, lower] of stack.entries()) symlinkSync(lower, join(scratch, 'links', String(number)));
	const lowerdir = stack
		.map((_lower, number) => String(number))
		.reverse()
		.join(':');
	const options = `lowerdir=${lowerdir},upperdir=../upper,workdir=../work,userxattr,volatile`;
	return {
		upper: join(scratch, 'upper'),
		target,
		mount: () => {
			rmSync(join(scratch, 'work'), { recursive: true, force: true });
			mkdirSync(join(scratch, 'work'));
			process.chdir(join(scratch, 'links'));
			try {
				libc.mount('overlay', rawPath(target), 'overlay', MS_NODEV, options);
			} catch (error) {
				throw refused(scratch, error);
			} finally {
				process.chdir('/');
			}
		},
		unmount: () => libc.unmount(rawPath(target)),
	};
}

function refused(scratch: string, cause: unknown): BuildError {
	const why = errnoOf(cause) === 'EPERM' ? 'not allowed' : messageOf(cause);
	return new BuildError('HOST_NO_OVERLAY', `the kernel refused to mount an overlay in ${scratch}: ${why}`, {
		hint:
			'Overlay needs Linux 5.11 or newer and a store that is not itself on an overlay or a network file system. ' +
			'Name a directory on ext4, xfs, btrfs or an emptyDir volume with --store DIR or S2OCI_STORE.',
		cause,
	});
}

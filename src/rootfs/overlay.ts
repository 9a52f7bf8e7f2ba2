import { close, constants, lstatSync, mkdirSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, BuildError, errnoOf, messageOf } from '../errors.js';
import { type Libc, MS_NODEV } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { rawPath } from '../root-path.js';
import type { RootDirectory } from './root-directory.js';
import { scanUnread, scanUpper } from './upper.js';

const MAX_LAYERS = 500;

/**
 * An overlay of `lowers` (lowest first) below `scratch`, not yet mounted. `userxattr` lets an unprivileged user namespace mount it,
 * `volatile` spares it the syncs of a throw-away directory (its mark in the work directory would forbid a second mount). Lower directories are named by one-number links relative to the working
 * directory, because all options must fit one page. Throws HOST_NO_OVERLAY.
 */
export function openOverlay(lowers: readonly string[], scratch: string, target: string, libc: Libc): RootDirectory {
	if (lowers.length > MAX_LAYERS) {
		throw new BuildError('IMAGE_UNSUPPORTED', `the image has ${lowers.length} layers; the kernel stacks at most 500`, {
			hint: 'Squash the builder image.',
		});
	}
	for (const name of ['upper', 'work', 'links', 'empty']) makePath(join(scratch, name), 0o755);
	const stack = lowers.length === 0 ? [join(scratch, 'empty')] : topmost(lowers);
	for (const [number, lower] of stack.entries()) symlinkSync(lower, join(scratch, 'links', String(number)));
	const options = `lowerdir=${[...stack.keys()].reverse().join(':')},upperdir=../upper,workdir=../work,userxattr,volatile`;
	const upper = join(scratch, 'upper');
	let mounted = false;
	const unmount = () => {
		if (mounted) libc.unmount(rawPath(target));
		mounted = false;
	};
	return {
		path: target,
		changed: upper,
		hideBelow: (directory) => libc.setXattr(directory, 'user.overlay.opaque', Buffer.from('y')),
		scan: (skip) => scanUpper(rawPath(upper), skip, libc),
		scanUnread: (skip, isNew) => scanUnread(rawPath(upper), skip, libc, isNew),
		mount: () => {
			rmSync(join(scratch, 'work'), { recursive: true, force: true });
			mkdirSync(join(scratch, 'work'));
			try {
				within(join(scratch, 'links'), () => {
					libc.mount(rawPath('overlay'), rawPath(target), 'overlay', MS_NODEV, options);
				});
				mounted = true;
			} catch (error) {
				throw refused(scratch, error);
			}
		},
		unmount,
		close: () => {
			const last = mounted ? hold(target) : undefined;
			unmount();
			if (last !== undefined) close(last, () => undefined);
		},
	};
}

/**
 * Runs `work` with `directory` as the working directory of this process, and of all its threads. It is synchronous, programs are started
 * by the same thread, and no other thread names a relative path, so nobody else can notice.
 */
function within(directory: string, work: () => void): void {
	const before = process.cwd();
	process.chdir(directory);
	try {
		work();
	} finally {
		process.chdir(before);
	}
}

/** Whoever lets go of an overlay last also frees all that the kernel knows of its files, some microseconds for each: let it be a thread. */
function hold(target: string): number | undefined {
	return attempt(() => openSync(target, constants.O_RDONLY | constants.O_DIRECTORY));
}

/** The kernel refuses a directory that is there twice (ELOOP); of equal layers only the upper one shows. */
function topmost(lowers: readonly string[]): readonly string[] {
	return lowers.filter((lower, index) => lowers.lastIndexOf(lower) === index);
}

/**
 * Mounts an overlay in `scratch` and deletes a file through it, as builds will: nothing less tells whether this kernel, this file system
 * and this security policy allow it. Throws HOST_NO_OVERLAY.
 */
export function probeOverlay(scratch: string, libc: Libc): void {
	const probe = join(scratch, 'probe');
	const [lower, target] = [join(probe, 'lower'), join(probe, 'target')];
	rmSync(probe, { recursive: true, force: true });
	for (const path of [lower, target]) makePath(path, 0o700);
	writeFileSync(join(lower, 'file'), '');
	const overlay = openOverlay([lower], probe, target, libc);
	overlay.mount();
	try {
		rmSync(join(target, 'file'));
		if (!lstatSync(join(overlay.changed, 'file')).isCharacterDevice()) throw new Error('it makes no whiteouts');
		libc.setXattr(rawPath(overlay.changed), 'user.overlay.opaque', Buffer.from('y'));
	} catch (error) {
		throw refused(scratch, error);
	} finally {
		overlay.unmount();
		rmSync(probe, { recursive: true, force: true });
	}
}

function refused(scratch: string, cause: unknown): BuildError {
	const why = errnoOf(cause) === 'EPERM' ? 'not allowed' : messageOf(cause);
	return new BuildError('HOST_NO_OVERLAY', `the kernel refused an overlay in ${scratch}: ${why}`, {
		hint:
			'Overlay needs Linux 5.11 or newer and a store that is not itself on an overlay or a network file system. ' +
			'Name a directory on ext4, xfs, btrfs or an emptyDir volume with --store DIR or S2OCI_STORE.',
		cause,
	});
}

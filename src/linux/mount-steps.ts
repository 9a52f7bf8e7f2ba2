import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { lockedFlags, type Mount, readMounts } from '../mountinfo.js';
import { fsPath, isWithin, type RawPath } from '../root-path.js';
import { type Libc, MS_BIND, MS_REMOUNT } from './libc.js';

/** One step in furnishing a root directory. `flags` are those of mount(2); `optional` steps may fail. */
export type MountStep =
	| { readonly type: 'directory'; readonly path: RawPath; readonly mode: number }
	| { readonly type: 'file'; readonly path: RawPath }
	| { readonly type: 'link'; readonly path: RawPath; readonly target: string }
	| {
			readonly type: 'mount';
			readonly path: RawPath;
			readonly source: RawPath;
			readonly fileSystem: string;
			readonly flags: number;
			readonly data: string;
			readonly optional?: boolean;
	  }
	/** Adds `flags` to what is mounted at `path` and below. */
	| { readonly type: 'restrict'; readonly path: RawPath; readonly flags: number; readonly optional?: boolean };

/** Does `steps` in the mount namespace that we are in, in order. Throws what the first that must not fail met. */
export function takeMountSteps(steps: readonly MountStep[], libc: Pick<Libc, 'mount'>): void {
	for (const step of steps) {
		try {
			take(step, libc);
		} catch (error) {
			if (!('optional' in step && step.optional)) throw error;
		}
	}
}

function take(step: MountStep, libc: Pick<Libc, 'mount'>): void {
	const { path } = step;
	if (step.type === 'directory') mkdirSync(fsPath(path), { mode: step.mode });
	else if (step.type === 'file') writeFileSync(fsPath(path), '', { flag: 'wx' });
	else if (step.type === 'link') symlinkSync(step.target, fsPath(path));
	else if (step.type === 'mount') libc.mount(step.source, path, step.fileSystem, step.flags, step.data);
	else for (const mount of mountsAt(path)) remount(mount, step.flags, libc);
}

function remount(mount: Mount, flags: number, libc: Pick<Libc, 'mount'>): void {
	libc.mount(mount.path, mount.path, '', MS_REMOUNT | MS_BIND | lockedFlags(mount) | flags, '');
}

/** A bind mount that is remounted leaves what is mounted below it as it was. What a later mount covers has no path. */
function mountsAt(path: RawPath): readonly Mount[] {
	const mounts = readMounts().filter((mount) => isWithin(mount.path, path));
	return mounts.filter((mount, index) => !mounts.slice(index + 1).some((later) => isWithin(mount.path, later.path)));
}

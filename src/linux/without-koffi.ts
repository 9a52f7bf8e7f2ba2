import { execFileSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Libc } from './libc.js';

/**
 * What of {@link Libc} works where koffi has no binary: pipes, by mkfifo(1) in a new directory below `parent`. Locks are never had,
 * extended attributes never seen; what a build in place does not need throws ENOSYS.
 */
export function libcWithoutKoffi(parent: string): Libc {
	return {
		mount: missing('mount'),
		unmount: missing('umount2'),
		mknod: missing('mknod'),
		connect: missing('connect'),
		setXattr: missing('lsetxattr'),
		listXattrs: () => new Map(),
		listOpenXattrs: () => new Map(),
		openBeneath: missing('openat2'),
		standIn: (directory) => process.chdir(`/proc/self/fd/${directory}`),
		addFileFlags: missing('ioctl'),
		seek: (_fd: number, offset: number, what: 'data' | 'hole', size: number) => (what === 'data' ? offset : size),
		tryLock: () => false,
		closeOnExec: () => undefined,
		landlockReach: () => 'nothing',
		dieWithParent: () => undefined,
		adoptOrphans: () => undefined,
		leaveKeyring: () => undefined,
		pipe: () => {
			const directory = mkdtempSync(join(parent, 'pipe-'));
			try {
				const path = join(directory, 'pipe');
				execFileSync('mkfifo', ['-m', '600', path], { stdio: 'ignore' });
				const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
				return { read, write: openSync(path, constants.O_WRONLY) };
			} finally {
				rmSync(directory, { recursive: true, force: true });
			}
		},
	};
}

function missing(name: string): () => never {
	return () => {
		throw Object.assign(new Error(`ENOSYS: ${name} (koffi has no binary for this platform)`), { code: 'ENOSYS' });
	};
}

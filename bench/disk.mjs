// A fresh file system for each run, and the same state of memory before each.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atEnd } from './cleanup.mjs';

const SIZE = { ext4: '24G', tmpfs: '70%' };
const isRoot = process.getuid() === 0;

/** What runs can work on; mounting takes root. */
export const FILE_SYSTEMS = isRoot ? ['ext4', 'tmpfs', 'directory'] : ['directory'];

/** A new, empty directory of the user on a new file system below `scratch`: `{ directory, close }`. */
export function openDisk(kind, user, scratch) {
	const place = mkdtempSync(join(scratch, `${kind}-`));
	const release = atEnd(() => removeTree(place));
	chmodSync(place, 0o755);
	mkdirSync(join(place, 'fs'), { mode: 0o755 });
	const unmount = kind === 'directory' ? () => {} : mount(kind, place);
	const directory = join(place, 'fs', 'work');
	mkdirSync(directory, { mode: 0o700 });
	if (isRoot) chownSync(directory, user.uid, user.gid);
	return {
		directory,
		close() {
			unmount();
			release();
		},
	};
}

function mount(kind, place) {
	const point = join(place, 'fs');
	if (kind === 'tmpfs') execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE.tmpfs},mode=755`, 'none', point]);
	else mountExt4(join(place, 'image'), point);
	return atEnd(() => unmountFrom(point));
}

/** With a journal whatever the host's default is, and without the kernel filling inode tables in the background. */
function mountExt4(file, point) {
	execFileSync('truncate', ['--size', SIZE.ext4, file]);
	execFileSync('mkfs.ext4', ['-q', '-O', 'has_journal', '-E', 'nodiscard,lazy_itable_init=1', file]);
	execFileSync('mount', ['-o', 'loop,noinit_itable', file, point]);
}

function unmountFrom(point) {
	for (let attempt = 0; attempt < 25; attempt++) {
		try {
			execFileSync('umount', [point], { stdio: 'ignore' });
			return;
		} catch {
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
		}
	}
	execFileSync('umount', ['--lazy', point]);
}

/** Files of subordinate ids can only be removed by root, or from within the user namespace. */
export function removeTree(directory) {
	if (isRoot) rmSync(directory, { recursive: true, force: true });
	else execFileSync('unshare', ['--map-root-user', '--map-auto', 'rm', '-rf', directory]);
}

/** All is written and nothing is cached but `files`: the programs, and what a registry elsewhere would have in its memory. */
export function settle(files) {
	execFileSync('sync');
	if (isRoot) writeFileSync('/proc/sys/vm/drop_caches', '3');
	execFileSync('sh', ['-c', 'find "$@" -type f -exec cat {} + >/dev/null', 'sh', ...files]);
}

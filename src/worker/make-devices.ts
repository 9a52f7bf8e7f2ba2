import { chmodSync, closeSync, mkdirSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Libc } from '../linux/libc.js';
import { rawPath } from '../root-path.js';

const S_IFCHR = 0o020000;
const DEVICE_MODE = 0o666;
/** Name, major and minor number (admin-guide/devices.txt). */
const DEVICES: readonly (readonly [string, number, number])[] = [
	['null', 1, 3],
	['zero', 1, 5],
	['full', 1, 7],
	['random', 1, 8],
	['urandom', 1, 9],
	['tty', 5, 0],
];
const LINKS: readonly (readonly [string, string])[] = [
	['fd', '/proc/self/fd'],
	['stdin', '/proc/self/fd/0'],
	['stdout', '/proc/self/fd/1'],
	['stderr', '/proc/self/fd/2'],
];

/**
 * Gives the root filesystem at `root`, where nothing can be mounted, the usual devices. Everything is at paths that never enter a layer. Where device nodes are refused, /dev/null is an empty file.
 */
export function furnishRoot(root: string, libc: Libc): void {
	const dev = join(root, 'dev');
	rmSync(dev, { recursive: true, force: true });
	mkdirSync(dev, { mode: 0o755 });
	for (const [name, major, minor] of DEVICES) makeDevice(join(dev, name), (major << 8) | minor, libc);
	for (const [name, target] of LINKS) symlinkSync(target, join(dev, name));
	mkdirSync(join(dev, 'shm'));
	chmodSync(join(dev, 'shm'), 0o1777);
}

/** A device cgroup or a nodev mount may make the node useless, and only opening it tells. */
function makeDevice(path: string, device: number, libc: Libc): void {
	try {
		libc.mknod(rawPath(path), S_IFCHR | DEVICE_MODE, device);
		chmodSync(path, DEVICE_MODE);
		closeSync(openSync(path, 'r'));
	} catch {
		rmSync(path, { force: true });
		if (!path.endsWith('/null')) return;
		writeFileSync(path, '');
		chmodSync(path, DEVICE_MODE);
	}
}

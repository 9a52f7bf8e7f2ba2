import { readFileSync } from 'node:fs';
import { isWithin, latin1Path, type RawPath, rawPath } from './root-path.js';

/** Numbers of mount(2). */
const LOCKED_FLAGS: Readonly<Record<string, number>> = {
	nosuid: 2,
	nodev: 4,
	noexec: 8,
	noatime: 1024,
	nodiratime: 2048,
};

/** One line of a mountinfo file (proc_pid_mountinfo(5)). */
export interface Mount {
	readonly path: RawPath;
	/** Which directory of the file system is at `path`; for some file systems a name that is no path. */
	readonly root: RawPath;
	readonly type: string;
	/** Of the mount point. */
	readonly options: readonly string[];
	/** Of the file system. */
	readonly superOptions: readonly string[];
}

/** What is mounted in this process's mount namespace and below its root directory, `/` included, the oldest first. Throws where there is no /proc. */
export function readMounts(): readonly Mount[] {
	return parseMounts(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** Where something is mounted, each path once. Throws where there is no /proc. */
export function readMountPoints(): readonly RawPath[] {
	return [...new Set(readMounts().map(({ path }) => path))];
}

/** The mount that `path`, absolute and free of links, is on. */
export function findMount(mounts: readonly Mount[], path: string): Mount | undefined {
	const raw = rawPath(path);
	const holding = mounts.filter((mount) => mount.path === '/' || isWithin(raw, mount.path));
	return holding.toSorted((a, b) => a.path.length - b.path.length).at(-1);
}

/** {@link readMounts} of the text of a mountinfo file, which was read as `latin1`: its paths are bytes. */
export function parseMounts(text: string): readonly Mount[] {
	return text.split('\n').flatMap((line) => {
		const [before = '', after] = line.split(' - ', 2);
		const [, , , root = '', path, options] = before.split(' ');
		if (after === undefined || path?.startsWith('/') !== true || options === undefined) return [];
		const [type = '', , superOptions = ''] = after.split(' ');
		const lists = { options: options.split(','), superOptions: superOptions.split(',') };
		return { path: unescape(path), root: unescape(root), type, ...lists };
	});
}

/** The flags, of mount(2), that a remount in a user namespace must repeat (mount_namespaces(7)). */
export function lockedFlags({ options }: Mount): number {
	return options.reduce((sum, name) => sum | (LOCKED_FLAGS[name] ?? 0), 0);
}

/** The kernel writes blanks, line ends and backslashes as three octal digits. */
function unescape(text: string): RawPath {
	const byte = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 8));
	return latin1Path(text.replace(/\\([0-3][0-7]{2})/g, byte));
}

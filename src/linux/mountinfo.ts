import { readFileSync } from 'node:fs';
import type { RawPath } from '../root-path.js';

const MOUNT_POINT_FIELD = 4;
/** Numbers of mount(2). */
const LOCKED_FLAGS: Readonly<Record<string, number>> = {
	nosuid: 2,
	nodev: 4,
	noexec: 8,
	noatime: 1024,
	nodiratime: 2048,
};

/** One mount. */
export interface Mount {
	readonly path: RawPath;
	/** Those of {@link LOCKED_FLAGS} that it has. */
	readonly flags: number;
}

/** Where something is mounted in this process's mount namespace and below its root directory, `/` included. Throws where there is no /proc. */
export function readMountPoints(): readonly RawPath[] {
	return parseMountPoints(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** The mount points in the text of a mountinfo file (proc_pid_mountinfo(5)), one for each path. */
export function parseMountPoints(text: string): readonly RawPath[] {
	return [...new Set(parseMounts(text).map(({ path }) => path))];
}

/** The flags of every mount of this process that a remount in a user namespace must repeat (mount_namespaces(7)). */
export function readMounts(): readonly Mount[] {
	return parseMounts(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** {@link readMounts} of the text of a mountinfo file, the oldest first. */
export function parseMounts(text: string): readonly Mount[] {
	return text.split('\n').flatMap((line) => {
		const fields = line.split(' ');
		const [point, options = ''] = fields.slice(MOUNT_POINT_FIELD);
		if (point?.startsWith('/') !== true) return [];
		const flags = options.split(',').reduce((sum, name) => sum | (LOCKED_FLAGS[name] ?? 0), 0);
		return [{ path: unescape(point), flags }];
	});
}

/** The kernel writes blanks, line ends and backslashes as three octal digits. */
function unescape(text: string): RawPath {
	return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

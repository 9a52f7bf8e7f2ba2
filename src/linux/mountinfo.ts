import { readFileSync } from 'node:fs';
import type { RawPath } from '../root-path.js';

const MOUNT_POINT_FIELD = 4;

/** Where something is mounted in this process's mount namespace and below its root directory, `/` included. Throws where there is no /proc. */
export function readMountPoints(): readonly RawPath[] {
	return parseMountPoints(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** The mount points in the text of a mountinfo file (proc_pid_mountinfo(5)), one for each path. */
export function parseMountPoints(text: string): readonly RawPath[] {
	const points = text.split('\n').flatMap((line) => {
		const point = line.split(' ')[MOUNT_POINT_FIELD];
		return point?.startsWith('/') === true ? [unescape(point)] : [];
	});
	return [...new Set(points)];
}

/** The kernel writes blanks, line ends and backslashes as three octal digits. */
function unescape(text: string): RawPath {
	return text.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

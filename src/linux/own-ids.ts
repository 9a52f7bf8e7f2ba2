import { fileText } from '../file-text.js';

/** How many ids from 0 on there are where we are: few when we are root of a user namespace, as in a rootless container. */
export function ownIds(kind: 'uid' | 'gid'): number {
	const lines = fileText(`/proc/self/${kind}_map`).split('\n');
	const ranges = lines.map((line) => line.trim().split(/\s+/).map(Number));
	let count = 0;
	for (const [inside, , size = 0] of ranges) if (inside === count) count += size;
	return count;
}

import { readFileSync } from 'node:fs';

/** How many ids from 0 on there are where we are: few when we are root of a user namespace, as in a rootless container. */
export function ownIds(kind: 'uid' | 'gid'): number {
	const ranges = readMap(kind).map((line) => line.trim().split(/\s+/).map(Number));
	let count = 0;
	for (const [inside, , size = 0] of ranges) if (inside === count) count += size;
	return count;
}

function readMap(kind: 'uid' | 'gid'): readonly string[] {
	try {
		return readFileSync(`/proc/self/${kind}_map`, 'utf8').split('\n');
	} catch {
		return [];
	}
}

import type { BigIntStats } from 'node:fs';

/** Names an inode of this host: `DEVICE:NUMBER`, as stat(2) gives them. Either may be larger than a number in JSON. */
export type InodeName = `${bigint}:${bigint}`;

/** The name of what was looked at. */
export function inodeName({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): InodeName {
	return `${dev}:${ino}`;
}

import type { Stats } from 'node:fs';
import type { RootPath } from '../root-path.js';
import type { BaseTree } from '../rootfs/merge.js';
import type { RootDirectory } from '../rootfs/root-directory.js';

/** What all names of one file of a root filesystem have in common, and nothing else; undefined for a file that surely has one name. */
export type InodeOf = (path: RootPath, stats: Stats) => string | undefined;

/** As the disk has it. */
export const diskInode: InodeOf = (_, { nlink, dev, ino }) => (nlink > 1 ? `${dev}:${ino}` : undefined);

/** A copied root filesystem has lost the hard links of the image; what nobody changed since has those that the image declares. */
export function copiedInodes(directory: RootDirectory, base: BaseTree): InodeOf {
	const changed = new Set(directory.scan(new Set()).map((entry) => entry.path));
	return (path, stats) => {
		const below = changed.has(path) ? undefined : base.get(path);
		if (below?.entry.type !== 'file') return diskInode(path, stats);
		return `layer ${below.layer} ${below.entry.linkOf ?? path}`;
	};
}

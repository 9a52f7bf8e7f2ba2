import type { RootPath } from '../root-path.js';
import type { Put } from './tree.js';

/** Makes, of changes in the order of a layer, hard links of the names of one file but the first. */
export function createLinker(): (put: Put) => Put {
	const first = new Map<string, RootPath>();
	return (put) => {
		const { entry, inode, path } = put;
		if (inode === undefined || entry.type !== 'file') return put;
		const linkOf = first.get(inode);
		if (linkOf !== undefined) return { ...put, entry: { ...entry, linkOf } };
		first.set(inode, path);
		return put;
	};
}

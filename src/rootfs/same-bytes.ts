import { closeSync, constants, openSync, readSync } from 'node:fs';
import { fsPath, type RawPath, type RootPath } from '../root-path.js';
import { type OpenTree, openFile } from './open-tree.js';

const CHUNK = 128 * 1024;
const O_READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const buffers = [Buffer.allocUnsafeSlow(CHUNK), Buffer.allocUnsafeSlow(CHUNK)] as const;

/** Whether the file `path` of `tree` holds the same bytes as the file `right`, of equal size. Throws ASSEMBLE_SURVIVED when it is gone. */
export function sameBytes(tree: OpenTree, path: RootPath, right: RawPath): boolean {
	const a = openFile(tree, path);
	try {
		const b = openSync(fsPath(right), O_READ);
		try {
			return sameContent(a, b);
		} finally {
			closeSync(b);
		}
	} finally {
		closeSync(a);
	}
}

function sameContent(a: number, b: number): boolean {
	for (;;) {
		const size = readSync(a, buffers[0], 0, CHUNK, null);
		const other = readSync(b, buffers[1], 0, CHUNK, null);
		if (size !== other) return false;
		if (size === 0) return true;
		if (buffers[0].compare(buffers[1], 0, size, 0, size) !== 0) return false;
	}
}

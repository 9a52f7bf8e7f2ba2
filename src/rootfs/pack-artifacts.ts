import { closeSync, openSync } from 'node:fs';
import type { Libc } from '../linux/libc.js';
import type { PackedLayer } from '../oci/descriptor.js';
import { type RawPath, ROOT, type RootPath } from '../root-path.js';
import { packLayer } from './pack.js';
import type { Entry, Put } from './tree.js';
import { readOpenFile, scanUnread, type UpperEntry } from './upper.js';

/**
 * Writes what is below `root` as the gzip tar `output`: sorted, owned by 0:0, times in whole seconds, without attributes, so that equal
 * artifacts give equal bytes on every host. Throws HOST_NO_SPACE.
 */
export async function packArtifacts(
	root: RawPath,
	output: string,
	libc: Libc,
	signal: AbortSignal,
): Promise<PackedLayer> {
	const found = scanUnread(root, new Set(), libc, () => true).filter(({ path }) => path !== ROOT);
	const kept = found.filter(({ type }) => type === 'unread' || type === 'symlink' || type === 'directory');
	const changes = kept
		.map((each) => (each.type === 'unread' ? each : toPut(each)))
		.sort((a, b) => (a.path < b.path ? -1 : 1));
	const file = openSync(output, 'wx', 0o600);
	try {
		const declare = (path: RootPath, fd: number) => toPut(readOpenFile(path, fd, libc));
		const options = { epoch: Number.MAX_SAFE_INTEGER, progress: () => undefined, declare, libc };
		return await packLayer(changes, root, file, options, signal);
	} finally {
		closeSync(file);
	}
}

function toPut({ type, path, mode, mtime, size, target = '', inode }: UpperEntry): Put {
	const attributes = { mode, uid: 0, gid: 0, mtime };
	const entry: Entry =
		type === 'symlink'
			? { ...attributes, type, target }
			: type === 'directory'
				? { ...attributes, type }
				: { ...attributes, type: 'file', size };
	return { type: 'put', path, entry, replaces: false, inode };
}

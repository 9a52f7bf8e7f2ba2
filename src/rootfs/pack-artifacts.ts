import { closeSync, openSync } from 'node:fs';
import type { Libc } from '../linux/libc.js';
import type { RawPath, RootPath } from '../root-path.js';
import { ROOT } from '../root-path.js';
import { type PackedLayer, packLayer } from './pack.js';
import type { Change, Entry } from './tree.js';
import { scanUpper, type UpperEntry } from './upper.js';

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
	const found = scanUpper(root, new Set(), libc).filter(({ path }) => path !== ROOT);
	const changes = toChanges([...found].sort((a, b) => (a.path < b.path ? -1 : 1)));
	const file = openSync(output, 'wx', 0o600);
	try {
		const options = { epoch: Number.MAX_SAFE_INTEGER, progress: () => undefined };
		return await packLayer(changes, root, file, options, signal);
	} finally {
		closeSync(file);
	}
}

function toChanges(entries: readonly UpperEntry[]): readonly Change[] {
	const first = new Map<string, RootPath>();
	return entries.flatMap((found) => {
		const entry = toEntry(found, found.inode === undefined ? undefined : first.get(found.inode));
		if (entry === undefined) return [];
		if (found.inode !== undefined && !first.has(found.inode)) first.set(found.inode, found.path);
		return [{ type: 'put', path: found.path, entry, replaces: false }];
	});
}

function toEntry(
	{ type, mode, mtime, size, target = '' }: UpperEntry,
	linkOf: RootPath | undefined,
): Entry | undefined {
	const attributes = { mode, mtime, uid: 0, gid: 0 };
	if (type === 'file') return { ...attributes, type, size, ...(linkOf !== undefined && { linkOf }) };
	if (type === 'symlink') return { ...attributes, type, target };
	return type === 'directory' ? { ...attributes, type } : undefined;
}

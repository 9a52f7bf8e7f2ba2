import type { RawPath } from '../root-path.js';

export type TarEntryType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

/** One member of a tar archive with its pax records folded in. */
export interface TarEntry {
	readonly type: TarEntryType;
	/** As written, not yet normalised or confined. */
	readonly path: RawPath;
	readonly linkPath: RawPath;
	/** Permission bits, at most 0o7777. */
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	/** Bytes of content that follow. */
	readonly size: number;
	/** Seconds since 1970, possibly with a fraction. */
	readonly mtime: number;
	readonly deviceMajor: number;
	readonly deviceMinor: number;
	/** Extended attributes, byte exact (`SCHILY.xattr.*` records). */
	readonly xattrs: ReadonlyMap<string, Buffer>;
}

export const BLOCK_SIZE = 512;

/** Zero bytes needed after `size` bytes of content. */
export function paddingOf(size: number): number {
	return (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE;
}

export const XATTR_PREFIX = 'SCHILY.xattr.';

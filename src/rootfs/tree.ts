import type { RootPath } from '../root-path.js';

interface Attributes {
	/** Permission bits, at most 0o7777. */
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	/** Seconds since 1970. */
	readonly mtime: number;
	readonly xattrs?: ReadonlyMap<string, Buffer>;
}

export interface FileEntry extends Attributes {
	readonly type: 'file';
	/** Bytes. */
	readonly size: number;
	/** The path of an entry that comes earlier and is the same inode. */
	readonly linkOf?: RootPath;
}

export interface DirectoryEntry extends Attributes {
	readonly type: 'directory';
	/** Nobody declared it; it exists because something is below it, so a lower layer's attributes show through. */
	readonly implicit?: boolean;
	/** Hides what lower layers have in it. Only in a layer, never in a merged tree. */
	readonly opaque?: boolean;
}

export interface SymlinkEntry extends Attributes {
	readonly type: 'symlink';
	/** Raw bytes, as stored. */
	readonly target: string;
}

export interface SpecialEntry extends Attributes {
	readonly type: 'character' | 'block' | 'fifo';
	readonly major: number;
	readonly minor: number;
}

/** One declared path of a root filesystem, in the image's own ids. */
export type Entry = FileEntry | DirectoryEntry | SymlinkEntry | SpecialEntry;

/** What a layer says of a path: that it is there, or that it is gone from the layers below. */
export type LayerEntry = Entry | { readonly type: 'whiteout' };

/** One line of a layer: `put` adds or replaces, `remove` becomes a whiteout. */
export type Change = Put | { readonly type: 'remove'; readonly path: RootPath };

export interface Put {
	readonly type: 'put';
	readonly path: RootPath;
	readonly entry: Entry;
	readonly replaces: boolean;
	/** Equal for the names of one file, of which the first in the layer has the content. */
	readonly inode?: string | undefined;
}

/** A file that is new for certain, so that nothing of it need be known before it is packed. */
export interface UnreadFile {
	readonly type: 'unread';
	readonly path: RootPath;
}

import type { InodeName } from '../inode-name.js';
import type { BindMount } from '../sandbox/sandbox.js';

/**
 * A file or directory of the host, by a path that is absolute and was free of links. `inode` is what was found there; undefined when anything
 * may have taken its place since, but for a link.
 */
export interface HostFile {
	readonly path: string;
	readonly inode?: InodeName;
}

/**
 * What of the host a process is shown: `copy`: a copy of a file or tree, which belongs to the process's user, with its own permission bits
 * when `mode` is undefined; `itself`: the host's own; `content`: a file that is nowhere on disk.
 */
export type HostSource =
	| ({ readonly type: 'copy'; readonly mode?: number } & HostFile)
	| ({ readonly type: 'itself' } & HostFile)
	| { readonly type: 'content'; readonly base64: string; readonly mode: number };

/** A {@link BindMount} before the worker has put its source where every id can reach it. */
export interface HostBind extends Omit<BindMount, 'source'> {
	readonly source: HostSource;
}

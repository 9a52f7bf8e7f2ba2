import type { BindMount } from '../sandbox/sandbox.js';

/**
 * What of the host a process is shown: `copy`: a copy of a file or tree, which belongs to the process's user, with its own permission bits
 * when `mode` is undefined; `itself`: the host's own; `content`: a file that is nowhere on disk.
 */
export type HostSource =
	| { readonly type: 'copy'; readonly path: string; readonly mode?: number }
	| { readonly type: 'itself'; readonly path: string }
	| { readonly type: 'content'; readonly base64: string; readonly mode: number };

/** A {@link BindMount} before the worker has put its source where every id can reach it. */
export interface HostBind extends Omit<BindMount, 'source'> {
	readonly source: HostSource;
}

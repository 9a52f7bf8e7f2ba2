import type { ErrorCode } from '../errors.js';
import type { Digest } from '../oci/digest.js';
import type { LayerStatistics } from '../rootfs/diff.js';
import type { PackedLayer } from '../rootfs/pack.js';
import type { BindMount, ContainerProcess, Exit, SandboxName } from '../sandbox/sandbox.js';
import type { Compression } from '../tar/decompress.js';

/** Both ends must speak the same version; they come from one package, so anything else is a broken installation. */
export const PROTOCOL_VERSION = 1;

/** A layer that must be in the store. */
export interface WantedLayer {
	readonly diffId: Digest;
	readonly blob: { readonly digest: Digest; readonly size: number };
	readonly compression: Compression;
}

/** Something of the image, looked at without following a link out of it. */
export interface Inspected {
	readonly path: string;
	readonly type: 'file' | 'directory' | 'other' | 'missing';
	/** Permission bits. */
	readonly mode: number;
	/** Only for paths that were asked to be read: UTF-8, at most 1 MiB. */
	readonly text?: string;
}

/** Everything the worker can be asked, with what it answers. Sizes in bytes; paths in the image are absolute. */
export interface WorkerCalls {
	readonly open: {
		readonly request: {
			readonly version: number;
			readonly userNamespace: 'none' | 'full' | 'single';
			/** How many ids the namespace maps from 0 on. */
			readonly ids: { readonly uids: number; readonly gids: number };
			/** Names the unpacked layers that fit the mapping. */
			readonly mapping: string;
			readonly store: string;
			/** Private directory of this build. */
			readonly scratch: string;
			/** PATH for sandbox programs. */
			readonly hostPath: string;
		};
		readonly response: { readonly version: number };
	};
	readonly unpack: {
		readonly request: { readonly layers: readonly WantedLayer[]; readonly blobSocket: string };
		readonly response: { readonly lostXattrs: readonly string[] };
	};
	/** Which of `layers` are in the store. */
	readonly present: {
		readonly request: { readonly diffIds: readonly Digest[] };
		readonly response: { readonly present: readonly Digest[] };
	};
	readonly mount: {
		readonly request: { readonly diffIds: readonly Digest[] };
		readonly response: object;
	};
	readonly inspect: {
		readonly request: { readonly stat: readonly string[]; readonly read: readonly string[] };
		readonly response: { readonly found: readonly Inspected[] };
	};
	/** Puts directories of the host (moved, not copied) and mount points into the root filesystem. */
	readonly prepare: {
		readonly request: {
			readonly placements: readonly {
				readonly source: string;
				readonly destination: string;
				readonly owner: { readonly uid: number; readonly gid: number };
				/** Whether it becomes part of the image. */
				readonly keep: boolean;
			}[];
			/** Files to show at these paths while the process runs. */
			readonly binds: readonly BindMount[];
			readonly workingDir: string;
		};
		readonly response: object;
	};
	readonly execute: {
		readonly request: {
			readonly process: ContainerProcess;
			readonly sandboxes: readonly SandboxName[];
			/** `forward`: real pipes, copied to the worker's own output. `inherit`: the worker's own streams. */
			readonly streams: 'forward' | 'inherit';
		};
		readonly response: {
			readonly exit: Exit;
			readonly sandbox: SandboxName;
			/** Why each sandbox before it was passed over. */
			readonly refused: readonly { readonly sandbox: SandboxName; readonly reason: string }[];
			/** Bytes forwarded, so that the other end knows when it has read them all. */
			readonly forwarded: { readonly stdout: number; readonly stderr: number };
		};
	};
	/** Finds what the process changed. */
	readonly diff: {
		readonly request: {
			readonly assembleUser: { readonly uid: number; readonly gid: number };
			/** Absolute paths that never enter the layer, with all below them. */
			readonly excluded: readonly string[];
		};
		readonly response: { readonly statistics: LayerStatistics };
	};
	/** Writes what `diff` found as a layer. */
	readonly pack: {
		readonly request: {
			/** Seconds; later times become this. */
			readonly epoch: number;
			/** Host path of the layer blob to write. */
			readonly output: string;
		};
		readonly response: PackedLayer;
	};
	/** Stops the sandbox, unmounts, removes the scratch directory and ends the worker. */
	readonly close: { readonly request: object; readonly response: object };
}

export type CallName = keyof WorkerCalls;

export type Request = {
	[Name in CallName]: { readonly id: number; readonly call: Name; readonly request: WorkerCalls[Name]['request'] };
}[CallName];

/** An error as it crosses the channel. `code` is absent for a bug, which then carries its stack. */
export interface WireError {
	readonly code?: ErrorCode;
	readonly message: string;
	readonly hint?: string;
	readonly stack?: string;
}

export type FromWorker =
	| { readonly type: 'ready' }
	| { readonly type: 'answer'; readonly id: number; readonly response: unknown }
	| { readonly type: 'failure'; readonly id: number; readonly error: WireError }
	/** `bytes` of the layer are unpacked so far, uncompressed. */
	| { readonly type: 'unpacked'; readonly diffId: Digest; readonly bytes: number }
	| { readonly type: 'packed'; readonly bytes: number };

import type { PackedLayer } from '../oci/descriptor.js';
import type { Digest } from '../oci/digest.js';
import type { RawPath } from '../root-path.js';
import type { LayerStatistics } from '../rootfs/diff.js';
import type { IdLimits, Owner } from '../rootfs/owner.js';
import type { Pruned, PrunePolicy } from '../rootfs/prune.js';
import type { StoredLayer } from '../rootfs/stored-layers.js';
import type { Rootfs, UserNamespace } from '../sandbox/ladder.js';
import type { Limits } from '../sandbox/limits.js';
import type { Refused } from '../sandbox/no-sandbox.js';
import type { ContainerProcess, Exit } from '../sandbox/sandbox.js';
import type { Proc, SandboxName } from '../sandbox/sandboxes.js';
import type { Compression } from '../tar/decompress.js';
import type { ArtifactOutput, SavedArtifacts } from './artifacts.js';
import type { HostBind } from './host-bind.js';
import type { ChangedPath, ObserveCalls } from './observation.js';

/** What both ends say of layers, and the pruning of them. */
export type { LayerStatistics, PackedLayer, Pruned, PrunePolicy, StoredLayer };

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

/** Which of the images that a build mounts: one that the source is copied from, the one assemble runs in, the one the result is based on, that of the last build, the result. */
export type RootName = 'origin' | 'builder' | 'runtime' | 'previous' | 'built';

/** Everything the worker can be asked, with what it answers. Sizes in bytes; paths in the image are absolute. */
export interface WorkerCalls extends ObserveCalls {
	readonly open: {
		readonly request: {
			readonly version: number;
			readonly userNamespace: UserNamespace;
			/** How many ids the namespace maps from 0 on. */
			readonly ids: IdLimits;
			/** Names the unpacked layers that fit the mapping. */
			readonly mapping: string;
			readonly store: string;
			/** Private directory of this build. */
			readonly scratch: string;
			/** Absolute paths of the host that must stay visible. */
			readonly inUse: readonly string[];
			/** PATH for sandbox programs. */
			readonly hostPath: string;
			readonly rootfs: 'auto' | Rootfs;
			/** Whether the worker has a mount namespace of its own. */
			readonly mounts: boolean;
			/** Whether it is of no use where a new /proc is refused. */
			readonly ownProc: boolean;
		};
		readonly response: {
			readonly version: number;
			readonly proc: Proc;
			readonly rootfs: Rootfs;
			/** What the kernel does not keep processes from here, for people. */
			readonly bounds: readonly string[];
			/** What cannot be had here, for people. */
			readonly notices: readonly string[];
		};
	};
	/** Runs a program that does nothing in the first of `sandboxes` that can do that here; `sandbox` is undefined when none can. */
	readonly probe: {
		readonly request: { readonly sandboxes: readonly SandboxName[] };
		readonly response: {
			readonly sandbox: SandboxName | undefined;
			/** Whether it does so only without a host name, keyring and root mount of its own. */
			readonly less: boolean;
			readonly refused: readonly Refused[];
		};
	};
	readonly unpack: {
		readonly request: { readonly layers: readonly WantedLayer[]; readonly blobSocket: string };
		readonly response: { readonly lostXattrs: readonly string[] };
	};
	/** Which of `diffIds` are in the store. From now on none of them is pruned as long as this worker lives. */
	readonly present: {
		readonly request: { readonly diffIds: readonly Digest[] };
		readonly response: { readonly present: readonly Digest[] };
	};
	/** Every layer in the store, of every mapping. Takes a look at each file of each. */
	readonly listLayers: {
		readonly request: object;
		/** `held` are the paths of layers that running builds use, relative to the store. */
		readonly response: { readonly layers: readonly StoredLayer[]; readonly held: readonly string[] };
	};
	/** Removes layers that no build uses. */
	readonly pruneLayers: {
		readonly request: { readonly policy: PrunePolicy; readonly dryRun: boolean };
		readonly response: Pruned;
	};
	/**
	 * In place: takes the root filesystem of the job as that of the image `diffIds`, whose layers are in the store, when a sample of it
	 * is equal. Only then can that image be mounted. Throws HOST_NOT_BUILDER.
	 */
	readonly adopt: {
		readonly request: {
			readonly diffIds: readonly Digest[];
			/** Absolute paths of files that are in the sample when the image has them. */
			readonly files: readonly string[];
			/** Absolute paths of what does not belong to the image; what is below is never in the layer. */
			readonly skip: readonly string[];
			/** The same, unless the image has them. */
			readonly tools: readonly string[];
			/** Absolute path of the store, and of what was made for it alone; nothing of the store is in the layer. */
			readonly store: string;
			readonly storeParents: readonly string[];
		};
		/** How many files were compared. */
		readonly response: { readonly compared: number };
	};
	readonly mount: {
		readonly request: { readonly root: RootName; readonly diffIds: readonly Digest[] };
		readonly response: object;
	};
	/** Forgets a root filesystem and all that was changed in it. */
	readonly unmount: {
		readonly request: { readonly root: RootName };
		readonly response: object;
	};
	readonly inspect: {
		readonly request: { readonly root: RootName; readonly stat: readonly string[]; readonly read: readonly string[] };
		readonly response: { readonly found: readonly Inspected[] };
	};
	/** Puts directories of the host (moved, not copied) and mount points into the root filesystem. */
	readonly prepare: {
		readonly request: {
			readonly root: RootName;
			readonly placements: readonly {
				readonly source: string;
				readonly destination: string;
				readonly owner: Owner;
				/** Whether it becomes part of the image. */
				readonly keep: boolean;
				/** Whether its files belong to `owner` already. */
				readonly owned?: boolean;
			}[];
			/** What of the host the process sees at these paths. */
			readonly binds: readonly HostBind[];
			/** Who the process runs as, and owns what is copied for it; root when undefined. */
			readonly user?: (Owner & { readonly additionalGids?: readonly number[] }) | undefined;
			readonly workingDir: string;
			/** Absolute paths of files that the process writes for `inspect` to read: in place, what was left there goes. */
			readonly outputs?: readonly string[];
		};
		readonly response: object;
	};
	readonly execute: {
		readonly request: {
			readonly root: RootName;
			readonly process: ContainerProcess;
			readonly sandboxes: readonly SandboxName[];
			/** `forward`: real pipes, copied to the worker's own output. `inherit`: the worker's own streams. */
			readonly streams: 'forward' | 'inherit';
			/** None when undefined. */
			readonly limits?: Limits | undefined;
			/** After this time the process is killed. */
			readonly timeoutMs?: number | undefined;
		};
		readonly response: {
			readonly exit: Exit;
			readonly sandbox: SandboxName;
			/** Why each sandbox before it was passed over. */
			readonly refused: readonly Refused[];
			/** Bytes forwarded, so that the other end knows when it has read them all. */
			readonly forwarded: { readonly stdout: number; readonly stderr: number };
			readonly timedOut: boolean;
			/** It failed after the kernel had killed one of its processes for want of memory. */
			readonly oom: boolean;
			/** One line for each limit that is not enforced, or not as high, with the reason. */
			readonly unenforced: readonly string[];
		};
	};
	/**
	 * Runs a process that writes an archive to its standard output, and extracts that on the fly (S2I save-artifacts). Throws
	 * LAYER_INVALID when it had to be stopped because what it wrote is none.
	 */
	readonly saveArtifacts: {
		readonly request: Omit<WorkerCalls['execute']['request'], 'streams'> & ArtifactOutput;
		readonly response: WorkerCalls['execute']['response'] &
			SavedArtifacts & {
				/** Why the archive cannot be used although the process ended by itself. */
				readonly problem?: string;
			};
	};
	/** Extracts an archive that {@link saveArtifacts} packed earlier. Throws LAYER_INVALID. */
	readonly restoreArtifacts: {
		/** `archive` is a tar or tar.gz on the host. */
		readonly request: Omit<ArtifactOutput, 'pack'> & { readonly archive: string };
		readonly response: SavedArtifacts;
	};
	/** Copies of a host directory into the root filesystem, as COPY and ADD do. No link leads out of either. */
	readonly copyFiles: {
		readonly request: {
			readonly root: RootName;
			/** Host directory. */
			readonly from: string;
			/** Raw paths below `from`, `''` being itself; of directories what is in them. None: only `destination` is made. */
			readonly sources: readonly RawPath[];
			readonly destination: string;
			/** A file goes to `destination`/its name even when there is no such directory yet. */
			readonly intoDirectory: boolean;
			/** Unpack tar archives. */
			readonly extract: boolean;
			readonly owner: Owner;
			/** What an archive holds is `owner`'s, too. */
			readonly chown: boolean;
			/** Permission bits of all files and directories; their own when undefined. */
			readonly mode: number | undefined;
		};
		readonly response: {
			readonly copied: number;
			/** Paths of sockets, FIFOs and devices, for messages. */
			readonly skipped: readonly string[];
		};
	};
	/** Copies of one root filesystem into another, when no process runs in either. */
	readonly copyArtifacts: {
		readonly request: {
			readonly from: RootName;
			readonly to: RootName;
			/** Absolute paths, `destination` being a directory that is made when it is missing. With `/.` at its end, a source is what is in it. */
			readonly artifacts: readonly { readonly source: string; readonly destination: string }[];
			readonly owner: Owner;
		};
		readonly response: {
			readonly copied: number;
			readonly skipped: readonly string[];
			/** Sources that are not there. */
			readonly missing: readonly string[];
		};
	};
	/**
	 * Copies out of a root filesystem, in which no process runs, into the source `to`, a directory of the host. Throws SOURCE_INVALID where
	 * something of the source is in the way.
	 */
	readonly copyToSource: {
		readonly request: { readonly from: RootName; readonly to: string } & Pick<
			WorkerCalls['copyArtifacts']['request'],
			'artifacts'
		>;
		readonly response: WorkerCalls['copyArtifacts']['response'];
	};
	/** Finds what the process changed. */
	readonly diff: {
		readonly request: {
			readonly root: RootName;
			readonly assembleUser: Owner;
			/** Absolute paths that never enter the layer, with all below them. */
			readonly excluded: readonly string[];
		};
		readonly response: { readonly statistics: LayerStatistics };
	};
	/** The first paths of what `diff` found, for people: directories that are only parents of a change are left out. */
	readonly listChanges: {
		readonly request: { readonly root: RootName };
		readonly response: { readonly changes: readonly ChangedPath[] };
	};
	/** Writes what `diff` found as a layer. */
	readonly pack: {
		readonly request: {
			readonly root: RootName;
			/** Seconds; later times become this. */
			readonly epoch: number;
			/** Host path of the layer blob to write. */
			readonly output: string;
		};
		readonly response: PackedLayer;
	};
	/** Stops the sandbox, unmounts, removes the scratch directory unless it is to `stay` or moves it to `keepAs`, and ends the worker. */
	readonly close: {
		readonly request: { readonly keepAs?: string | undefined; readonly stay?: boolean };
		readonly response: object;
	};
}

export type CallName = keyof WorkerCalls;

import type { Descriptor, Document } from './descriptor.js';
import type { Digest } from './digest.js';

/** An image manifest, OCI or Docker schema 2 (`mediaType` tells which family). */
export interface Manifest {
	readonly schemaVersion: 2;
	readonly mediaType: string;
	readonly config: Descriptor;
	readonly layers: readonly Descriptor[];
	readonly annotations?: Readonly<Record<string, string>>;
}

/** An OCI image index or Docker manifest list. */
export interface Index {
	readonly schemaVersion: 2;
	readonly mediaType: string;
	readonly manifests: readonly Descriptor[];
}

/** The runtime part of an image config: what `docker inspect` shows under `.Config`. Unknown fields are kept. */
export interface ContainerConfig {
	readonly User?: string;
	readonly Env?: readonly string[];
	readonly Entrypoint?: readonly string[] | null;
	readonly Cmd?: readonly string[] | null;
	readonly WorkingDir?: string;
	readonly Labels?: Readonly<Record<string, string>> | null;
	readonly OnBuild?: readonly string[] | null;
	readonly Volumes?: Readonly<Record<string, object>> | null;
	readonly StopSignal?: string;
}

/** An image config (image-spec v1.1 config.md). Unknown fields are kept. */
export interface ImageConfig {
	readonly os: string;
	readonly architecture: string;
	readonly variant?: string;
	readonly created?: string;
	readonly config?: ContainerConfig;
	readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] };
	readonly history?: readonly HistoryEntry[];
}

export interface HistoryEntry {
	readonly created?: string;
	readonly created_by?: string;
	readonly comment?: string;
	readonly empty_layer?: boolean;
}

/** One filesystem layer: where its compressed blob is, and the digest of the tar inside. */
export interface Layer {
	readonly blob: Descriptor;
	readonly diffId: Digest;
}

/** An image as a value. Holds no file contents; those are blobs named by `layers[n].blob`. */
export interface Image {
	readonly manifest: Document<Manifest>;
	readonly config: Document<ImageConfig>;
	readonly layers: readonly Layer[];
}

/** What a build adds to its builder image besides the layer. */
export interface ImageChange {
	readonly config: (base: ContainerConfig) => ContainerConfig;
	readonly history: HistoryEntry;
	/** RFC 3339, the `created` of the new config. */
	readonly created: string;
	readonly annotations?: Readonly<Record<string, string>>;
}

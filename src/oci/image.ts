import { BuildError } from '../errors.js';
import type { Descriptor, Document } from './descriptor.js';
import { type Digest, digestOf } from './digest.js';
import { configMediaType, distributableType, familyOf, layerCompression, layerMediaType } from './media-types.js';

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
	readonly annotations?: Readonly<Record<string, string>>;
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
	readonly ExposedPorts?: Readonly<Record<string, object>> | null;
	readonly Volumes?: Readonly<Record<string, object>> | null;
	readonly StopSignal?: string;
}

/** An image config (image-spec v1.1 config.md). Unknown fields are kept. */
export interface ImageConfig {
	/** Some tools leave it out. */
	readonly os?: string;
	/** Some tools leave it out. */
	readonly architecture?: string;
	readonly variant?: string;
	/** Of Windows; unchecked. */
	readonly 'os.version'?: unknown;
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

/** The diffIDs of the layers of `image`, lowest first. */
export function diffIdsOf({ layers }: Pick<Image, 'layers'>): readonly Digest[] {
	return layers.map(({ diffId }) => diffId);
}

/** What a build adds to its builder image besides the layer. */
export interface ImageChange {
	readonly config: (base: ContainerConfig) => ContainerConfig;
	readonly history: HistoryEntry;
	/** RFC 3339, the `created` of the new config. */
	readonly created: string;
	readonly annotations?: Readonly<Record<string, string>>;
}

const UNKNOWN_STEP: HistoryEntry = { comment: 'a layer of the base image without history' };

/** The image that `manifest` and its `config` describe. Throws IMAGE_INVALID when they do not name the same number of layers. */
export function imageFrom(manifest: Document<Manifest>, config: Document<ImageConfig>): Image {
	const diffIds = config.value.rootfs.diff_ids;
	const layers = manifest.value.layers.flatMap((blob, index) => {
		const diffId = diffIds[index];
		return diffId === undefined ? [] : [{ blob, diffId }];
	});
	if (layers.length !== diffIds.length || layers.length !== manifest.value.layers.length) {
		throw new BuildError('IMAGE_INVALID', 'the manifest and the config of the image name different numbers of layers', {
			hint: 'The image is damaged; push it again or choose another one.',
		});
	}
	return { manifest, config, layers };
}

/**
 * `base` with one more layer and history entry and the config that `change` makes of it. Base descriptors and unknown config fields
 * stay as they are, but for {@link distributable} and {@link fitHistory}; ONBUILD and the annotations of the base are not inherited. Equal input gives equal bytes.
 */
export function appendLayer(base: Image, layer: Layer, change: ImageChange): Image {
	const family = familyOf(base.manifest.value.mediaType);
	const mediaType = layerMediaType(family, layerCompression(layer.blob.mediaType));
	const blob = { mediaType, digest: layer.blob.digest, size: layer.blob.size };
	const config = document(appendToConfig(base.config.value, layer, change), configMediaType(family));
	const manifest: Manifest = {
		schemaVersion: 2,
		mediaType: base.manifest.value.mediaType,
		config: { mediaType: config.descriptor.mediaType, digest: config.descriptor.digest, size: config.descriptor.size },
		layers: [...base.manifest.value.layers.map(distributable), blob],
		...(change.annotations === undefined ? {} : { annotations: change.annotations }),
	};
	return {
		manifest: document(manifest, manifest.mediaType),
		config,
		layers: [...base.layers, { blob, diffId: layer.diffId }],
	};
}

/**
 * How a layer is described whose blob lies beside the manifest, as those of a result do: registries refuse foreign layers and URLs
 * beside them (distribution, "manifest invalid"), and clients would look there instead of here.
 */
function distributable(layer: Descriptor): Descriptor {
	const { urls = [], ...rest } = layer;
	const mediaType = distributableType(layer.mediaType);
	return urls.length === 0 && mediaType === layer.mediaType ? layer : { ...rest, mediaType };
}

function appendToConfig(base: ImageConfig, layer: Layer, change: ImageChange): ImageConfig {
	return {
		...base,
		created: change.created,
		config: withoutOnBuild(change.config(withoutOnBuild(base.config ?? {}))),
		rootfs: { ...base.rootfs, diff_ids: [...base.rootfs.diff_ids, layer.diffId] },
		history: [...fitHistory(base.history ?? [], base.rootfs.diff_ids.length), change.history],
	};
}

/**
 * The history of an image of `layers` layers, so that its entries for layers are as many as those: tools that build on an image refuse
 * any other number (buildah, podman; image-spec v1.1 config.md "history"). What is too much, which squashed images have, made no layer
 * that is still there; what is missing is said to be unknown.
 */
function fitHistory(history: readonly HistoryEntry[], layers: number): readonly HistoryEntry[] {
	const count = history.filter((entry) => entry.empty_layer !== true).length;
	let surplus = count - layers;
	const fitted = history.map((entry) =>
		entry.empty_layer !== true && surplus-- > 0 ? { ...entry, empty_layer: true } : entry,
	);
	const missing = Array.from({ length: Math.max(0, layers - count) }, () => UNKNOWN_STEP);
	return [...fitted, ...missing];
}

function withoutOnBuild(config: ContainerConfig): ContainerConfig {
	return Object.fromEntries(Object.entries(config).filter(([key]) => key !== 'OnBuild'));
}

/** `value` as a document of its own. Equal input gives equal bytes. */
export function document<T>(value: T, mediaType: string): Document<T> {
	const bytes = new TextEncoder().encode(JSON.stringify(value));
	return { value, bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

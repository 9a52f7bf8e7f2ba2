import { createHash } from 'node:crypto';
import type { Descriptor, Document, PackedLayer, Platform } from './descriptor.js';
import { type Digest, digestOf, isDigest } from './digest.js';
import type { Index, Manifest } from './image.js';
import { OCI_CONFIG, OCI_MANIFEST } from './media-types.js';
import { formatPlatform } from './platform.js';

/** The type of the artifacts of a build as an OCI artifact (image-spec v1.1 manifest.md "Guidelines for Artifact Usage"). */
export const ARTIFACTS_TYPE = 'application/vnd.s2oci.artifacts.v1';

const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
const TYPE_NAME = 'io.s2oci.artifacts.type';
const BUILDER_NAME = 'io.s2oci.artifacts.builder-digest';
const SOURCE_NAME = 'io.s2oci.artifacts.source';
const IMAGE_NAME = 'io.s2oci.artifacts.image';
const CREATED_NAME = 'org.opencontainers.image.created';

/** What the artifacts of a build depend on. */
export interface ArtifactKey {
	/** Manifest digest of the builder image. */
	readonly builder: Digest;
	/** The source's location, without credentials. */
	readonly source: string;
	readonly contextDir: string | undefined;
	readonly platform: Platform;
}

/** A manifest, and the one small blob it needs besides the artifacts. */
export interface ArtifactDocument {
	readonly manifest: Document<Manifest>;
	readonly config: { readonly descriptor: Descriptor; readonly bytes: Uint8Array };
}

/** Artifacts that somebody saved. */
export interface FoundArtifacts {
	readonly layer: Descriptor;
	/** RFC 3339; `''` when it is not said. */
	readonly created: string;
	/** Whether this very builder image made them. */
	readonly isExact: boolean;
	/** Manifest digest of the image of the same build; undefined when it is not said. */
	readonly image: Digest | undefined;
}

/**
 * The tags under which artifacts with `key` are found: `exact` for this builder image, `similar` for any version of it. What assemble
 * gets of another version is what S2I gives it when the builder was updated since the previous image was built.
 */
export function artifactTags(key: ArtifactKey): { readonly exact: string; readonly similar: string } {
	const { builder, source, contextDir = '', platform } = key;
	const rest = [source, contextDir, formatPlatform(platform)];
	return { exact: tagOf([builder, ...rest]), similar: tagOf(rest) };
}

/**
 * The artifact that holds `packed`, of the build that made `image`. `epoch` is its time, in seconds. With `plain` it is an ordinary image that cannot run, for
 * registries that know no artifacts. Equal input gives equal bytes.
 */
export function artifactDocument(
	packed: PackedLayer,
	key: ArtifactKey,
	{ epoch, image }: { readonly epoch: number; readonly image: Digest },
	plain: boolean,
): ArtifactDocument {
	const created = `${new Date(epoch * 1000).toISOString().slice(0, 19)}Z`;
	const configBytes = encode(plain ? plainConfig(packed, key.platform, created) : {});
	const config = {
		mediaType: plain ? OCI_CONFIG : EMPTY_TYPE,
		digest: digestOf(configBytes),
		size: configBytes.length,
	};
	const value = {
		schemaVersion: 2 as const,
		mediaType: OCI_MANIFEST,
		...(!plain && { artifactType: ARTIFACTS_TYPE }),
		config,
		layers: [{ mediaType: LAYER_TYPE, digest: packed.digest, size: packed.size }],
		annotations: {
			[TYPE_NAME]: ARTIFACTS_TYPE,
			[BUILDER_NAME]: key.builder,
			[SOURCE_NAME]: key.source,
			[IMAGE_NAME]: image,
			[CREATED_NAME]: created,
		},
	};
	const bytes = encode(value);
	const descriptor = { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length };
	return { manifest: { value, bytes, descriptor }, config: { descriptor: config, bytes: configBytes } };
}

/** What `document`, which is hostile, holds of artifacts; undefined when it is something else. */
export function readArtifact({ value }: Document<Manifest | Index>, key: ArtifactKey): FoundArtifacts | undefined {
	if (!('layers' in value)) return undefined;
	const { annotations = {}, layers } = value;
	const [layer, ...more] = layers;
	const isOurs = annotations[TYPE_NAME] === ARTIFACTS_TYPE && layer?.mediaType === LAYER_TYPE && more.length === 0;
	if (!isOurs) return undefined;
	const image = annotations[IMAGE_NAME] ?? '';
	return {
		...{ layer, created: annotations[CREATED_NAME] ?? '', isExact: annotations[BUILDER_NAME] === key.builder },
		image: isDigest(image) ? image : undefined,
	};
}

/** `found` with the best first: those of the same builder image before others, newer ones before older ones. */
export function bestArtifacts<T extends Pick<FoundArtifacts, 'isExact' | 'created'>>(
	found: readonly T[],
): readonly T[] {
	const time = ({ created }: T) => Date.parse(created) || 0;
	return [...found].sort((a, b) => Number(b.isExact) - Number(a.isExact) || time(b) - time(a));
}

function plainConfig({ diffId }: PackedLayer, platform: Platform, created: string): object {
	const { os, architecture, variant } = platform;
	const rootfs = { type: 'layers', diff_ids: [diffId] };
	return { created, architecture, os, ...(variant !== undefined && { variant }), config: {}, rootfs };
}

function tagOf(parts: readonly string[]): string {
	return `s2oci-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)}`;
}

function encode(value: object): Uint8Array {
	return new TextEncoder().encode(JSON.stringify(value));
}

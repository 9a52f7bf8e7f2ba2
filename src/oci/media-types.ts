import { BuildError } from '../errors.js';

/** OCI image manifest (image-spec v1.1 manifest.md). */
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** OCI image index (image-spec v1.1 image-index.md). */
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
/** OCI image config (image-spec v1.1 config.md). */
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
/** Docker image manifest, version 2 schema 2. */
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
/** Docker manifest list. */
export const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
/** Docker image config. */
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';

/** The two families of media types; one manifest never mixes them (skopeo and CRI-O refuse it). */
export type MediaFamily = 'oci' | 'docker';
/** How the tar of a layer is compressed. */
export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** Every manifest and index type that is understood, as the value of an Accept header: some registries answer 404 without. */
export const MANIFEST_ACCEPT: string = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX].join(', ');

const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
/** Layers that once were not to be copied to registries (image-spec v1.1 layer.md "Non-Distributable Layers", deprecated). */
const RESTRICTED: ReadonlyMap<string, string> = new Map([
	['application/vnd.oci.image.layer.nondistributable.v1.tar', OCI_LAYER],
	['application/vnd.docker.image.rootfs.foreign.diff.tar', DOCKER_LAYER],
]);
const SUFFIX = /[.+](?:gzip|zstd)$/;
const COMPRESSIONS: ReadonlyMap<string, LayerCompression> = new Map([
	[OCI_LAYER, 'none'],
	[`${OCI_LAYER}+gzip`, 'gzip'],
	[`${OCI_LAYER}+zstd`, 'zstd'],
	[DOCKER_LAYER, 'none'],
	[`${DOCKER_LAYER}.gzip`, 'gzip'],
	[`${DOCKER_LAYER}.zstd`, 'zstd'],
]);

/** Whether `mediaType` is an OCI or Docker image manifest. */
export function isManifestType(mediaType: string): boolean {
	return mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;
}

/** Whether `mediaType` is an OCI index or a Docker manifest list. */
export function isIndexType(mediaType: string): boolean {
	return mediaType === OCI_INDEX || mediaType === DOCKER_INDEX;
}

/** Whether `mediaType` is the config of a container image, and not of some other artifact. */
export function isConfigType(mediaType: string): boolean {
	return mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG;
}

/** The family that a manifest of `mediaType` belongs to. */
export function familyOf(mediaType: string): MediaFamily {
	return mediaType === DOCKER_MANIFEST || mediaType === DOCKER_INDEX ? 'docker' : 'oci';
}

/** The type of a layer of `mediaType` that may be copied anywhere: foreign and non-distributable ones become ordinary ones. */
export function distributableType(mediaType: string): string {
	const [suffix = ''] = SUFFIX.exec(mediaType) ?? [];
	const ordinary = RESTRICTED.get(mediaType.slice(0, mediaType.length - suffix.length));
	return ordinary === undefined ? mediaType : `${ordinary}${suffix}`;
}

/** How a layer of `mediaType` is compressed, foreign ones like others. Throws IMAGE_UNSUPPORTED for what is no layer at all. */
export function layerCompression(mediaType: string): LayerCompression {
	const compression = COMPRESSIONS.get(distributableType(mediaType));
	if (compression !== undefined) return compression;
	const message = `layers of type ${JSON.stringify(mediaType.slice(0, 100))} are not supported`;
	throw new BuildError('IMAGE_UNSUPPORTED', message, {
		hint: 'Use an image whose layers are tar archives, plain or compressed with gzip or zstd.',
	});
}

/** The media type of a layer with `compression` in a manifest of `family`. */
export function layerMediaType(family: MediaFamily, compression: LayerCompression): string {
	const [base, separator] = family === 'docker' ? [DOCKER_LAYER, '.'] : [OCI_LAYER, '+'];
	return compression === 'none' ? base : `${base}${separator}${compression}`;
}

/** The media type of an image config in a manifest of `family`. */
export function configMediaType(family: MediaFamily): string {
	return family === 'docker' ? DOCKER_CONFIG : OCI_CONFIG;
}

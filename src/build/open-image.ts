import type { ImageSource, ImageTarget } from '../content/blob.js';
import { openLayout } from '../content/layout.js';
import { formatImageLocation, type ImageLocation } from '../content/location.js';
import { readBytes } from '../content/verify.js';
import { BuildError } from '../errors.js';
import type { Document, Platform } from '../oci/descriptor.js';
import type { Digest } from '../oci/digest.js';
import { type Image, type Index, imageFrom, type Manifest } from '../oci/image.js';
import { isIndex, MAX_CONFIG_BYTES, parseConfig, selectPlatform } from '../oci/manifest.js';
import { formatPlatform, platformRank } from '../oci/platform.js';
import type { RepositoryName } from '../oci/reference.js';
import type { OpenRepository } from '../registry/registries.js';

/** What opening images needs. `scratch` makes a directory in which an archive is put together; the caller removes it. */
export interface ImageAccess {
	readonly registry: OpenRepository;
	readonly scratch: () => Promise<string>;
}

/** An image source, and what to ask it for. `name` is for people; `repository` is set for images on a registry. */
export interface OpenedSource {
	readonly source: ImageSource;
	readonly reference: string | Digest;
	readonly name: string;
	readonly repository?: RepositoryName;
}

/** An image target, and the tag for its manifest. */
export interface OpenedTarget {
	readonly target: ImageTarget;
	readonly tag: string | undefined;
	readonly name: string;
}

const MAX_NESTED_INDEXES = 3;

/** Archives are rare, and tar-stream takes as long to load as the rest of the build. */
const ociArchive = () => import('../content/oci-archive.js');
const dockerArchive = () => import('../content/docker-archive.js');

/** Opens the image at `location` for reading. Throws IMAGE_INVALID when an archive cannot be read; registries are not asked yet. */
export async function openImageSource(
	location: ImageLocation,
	access: ImageAccess,
	signal: AbortSignal,
): Promise<OpenedSource> {
	const name = formatImageLocation(location);
	switch (location.type) {
		case 'registry': {
			const { repository, digest, tag = 'latest' } = location.reference;
			return { source: access.registry(repository), reference: digest ?? tag, name, repository };
		}
		case 'oci':
			return { source: openLayout(location.path), reference: location.ref ?? '', name };
		case 'oci-archive':
			return {
				source: await (await ociArchive()).openOciArchive(location.path, signal),
				reference: location.ref ?? '',
				name,
			};
		case 'docker-archive':
			return {
				source: await (await dockerArchive()).openDockerArchive(location.path, signal),
				reference: location.ref ?? '',
				name,
			};
	}
}

/** Opens `location` for writing. Nothing is written yet. Throws REFERENCE_INVALID when it names a digest: that follows from the content. */
export async function openImageTarget(
	location: ImageLocation,
	access: ImageAccess,
	signal: AbortSignal,
): Promise<OpenedTarget> {
	signal.throwIfAborted();
	const name = formatImageLocation(location);
	switch (location.type) {
		case 'registry': {
			const { repository, digest, tag } = location.reference;
			if (digest !== undefined) throw digestTarget(name);
			return { target: access.registry(repository), tag, name };
		}
		case 'oci':
			return { target: openLayout(location.path), tag: location.ref, name };
		case 'oci-archive':
			return {
				target: (await ociArchive()).createOciArchive(location.path, await access.scratch()),
				tag: location.ref,
				name,
			};
		case 'docker-archive':
			return {
				target: (await dockerArchive()).createDockerArchive(location.path, await access.scratch()),
				tag: location.ref,
				name,
			};
	}
}

/**
 * The image that `opened` names for a host of `platform`, verified: one manifest request (two through an index) and the config.
 * Throws IMAGE_PLATFORM when there is none that the host can run.
 */
export async function resolveImage(opened: OpenedSource, platform: Platform, signal: AbortSignal): Promise<Image> {
	const { source, name } = opened;
	const manifest = await resolveManifest(opened, platform, signal);
	const stream = await source.open(manifest.value.config, signal);
	const bytes = await readBytes(stream, MAX_CONFIG_BYTES, `the config of ${name}`);
	const config = parseConfig(bytes, manifest.value, name);
	if (platformRank(platform, config.value) !== undefined) return imageFrom(manifest, config);
	throw new BuildError('IMAGE_PLATFORM', `${name} is an image for ${formatPlatform(config.value)}`, {
		hint: `It was needed for ${formatPlatform(platform)}; choose another image, or say otherwise with --platform.`,
	});
}

async function resolveManifest(
	{ source, reference, name }: OpenedSource,
	platform: Platform,
	signal: AbortSignal,
): Promise<Document<Manifest>> {
	let document: Document<Manifest | Index> = await source.manifest(reference, signal);
	for (let depth = 0; isIndex(document); depth += 1) {
		if (depth === MAX_NESTED_INDEXES) throw tooDeep(name);
		document = await source.manifest(selectPlatform(document.value, platform, name).digest, signal);
	}
	return document as Document<Manifest>;
}

function tooDeep(name: string): BuildError {
	return new BuildError('IMAGE_INVALID', `${name} is an index of an index of an index`, {
		hint: 'Name the image itself, by its digest.',
	});
}

function digestTarget(name: string): BuildError {
	return new BuildError('REFERENCE_INVALID', `cannot push to a digest: ${name}`, {
		hint: 'Name the target by repository and tag; its digest follows from what is built.',
	});
}

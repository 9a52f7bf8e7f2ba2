import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import type { ImageTarget } from '../../src/content/blob.js';
import type { Descriptor, Document } from '../../src/oci/descriptor.js';
import { type Digest, digestOf } from '../../src/oci/digest.js';
import { type Image, type ImageConfig, imageFrom, type Manifest } from '../../src/oci/image.js';
import { parseConfig, parseManifest } from '../../src/oci/manifest.js';
import {
	configMediaType,
	DOCKER_MANIFEST,
	layerMediaType,
	type MediaFamily,
	OCI_MANIFEST,
} from '../../src/oci/media-types.js';
import type { ImageAccess } from '../../src/pipeline/images/open-image.js';

/** A small image in memory: the image as a value, and the bytes of its blobs by digest. */
export interface TestImage {
	readonly image: Image;
	readonly blobs: ReadonlyMap<Digest, Uint8Array>;
}

/** What a test image is made of. `layers` are uncompressed tars (any bytes, when nothing unpacks them); `config` is merged in. */
export interface TestImageParts {
	readonly layers?: readonly Uint8Array[];
	readonly config?: Partial<ImageConfig> & Readonly<Record<string, unknown>>;
	readonly family?: MediaFamily;
	readonly annotations?: Readonly<Record<string, string>>;
}

/** An image of gzip layers with a correct config and manifest. */
export function testImage(parts: TestImageParts = {}): TestImage {
	const family = parts.family ?? 'oci';
	const tars = parts.layers ?? [Buffer.from('a layer')];
	const blobs = new Map<Digest, Uint8Array>();
	const add = (bytes: Uint8Array, mediaType: string): Descriptor => {
		const digest = digestOf(bytes);
		blobs.set(digest, bytes);
		return { mediaType, digest, size: bytes.length };
	};
	const layers = tars.map((tar) => add(gzipSync(tar), layerMediaType(family, 'gzip')));
	const config = {
		os: 'linux',
		architecture: 'amd64',
		...parts.config,
		rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
	};
	const configBytes = jsonBytes(config);
	const manifest = parseManifest(
		jsonBytes({
			schemaVersion: 2,
			mediaType: family === 'docker' ? DOCKER_MANIFEST : OCI_MANIFEST,
			config: add(configBytes, configMediaType(family)),
			layers,
			...(parts.annotations === undefined ? {} : { annotations: parts.annotations }),
		}),
		{},
		'the test image',
	) as Document<Manifest>;
	return { image: imageFrom(manifest, parseConfig(configBytes, manifest.value, 'the test image')), blobs };
}

/** Writes `image` to `target` in the order that is safe: layers, config, manifest. */
export async function writeImage(
	{ image, blobs }: TestImage,
	target: ImageTarget,
	tag: string | undefined,
	signal: AbortSignal,
): Promise<void> {
	for (const blob of [...image.manifest.value.layers, image.manifest.value.config]) {
		if (await target.has(blob, signal)) continue;
		await target.put(blob, () => Promise.resolve(contentOf(blobs, blob)), signal);
	}
	await target.putManifest(image.manifest, tag, signal);
}

/** The bytes of `blob` as a stream. */
export function contentOf(blobs: ReadonlyMap<Digest, Uint8Array>, blob: Descriptor): Readable {
	const bytes = blobs.get(blob.digest);
	if (bytes === undefined) throw new Error(`the test has no blob ${blob.digest}`);
	return Readable.from([bytes], { objectMode: false });
}

/** `value` as JSON in UTF-8. */
export function jsonBytes(value: unknown): Uint8Array {
	return new TextEncoder().encode(JSON.stringify(value));
}

/** A descriptor for `bytes`. */
export function descriptorOf(bytes: Uint8Array, mediaType = 'application/octet-stream'): Descriptor {
	return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

/** For whoever opens images of no local engine. */
export const NO_ENGINE: Pick<ImageAccess, 'engine' | 'present'> = {
	engine: () => Promise.reject(new Error('no engine is asked for here')),
	present: () => Promise.resolve(new Set()),
};

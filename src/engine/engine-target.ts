import type { ImageSource, ImageTarget, OpenContent } from '../content/blob.js';
import { blobPath, REF_NAME } from '../content/layout-source.js';
import type { EngineLocation } from '../content/location.js';
import { archiveBytes } from '../content/oci-archive.js';
import { isBuildError } from '../errors.js';
import type { Descriptor, Document } from '../oci/descriptor.js';
import { type Digest, hexOf } from '../oci/digest.js';
import type { Index, Manifest } from '../oci/image.js';
import { layerCompression, OCI_INDEX } from '../oci/media-types.js';
import { namesRegistry } from '../oci/reference.js';
import { type ArchiveFile, packArchive } from '../tar/archive.js';
import type { Engine } from './engine.js';
import type { EngineSource } from './engine-source.js';

/**
 * The store of `engine` as an image target. Nothing is sent before the manifest is put; then config, layers and name go to the engine as
 * one stream, in which the plain layers of an image of the same engine are left out. An engine that wants these too gets them.
 */
export function openEngineTarget(engine: Engine): ImageTarget {
	const contents = new Map<Digest, OpenContent>();
	const shared = new Map<Digest, OpenContent>();
	return {
		has: () => Promise.resolve(false),
		mount: (blob, from) => {
			const isThere =
				isEngineSource(from) && from.engine.type === engine.type && layerCompression(blob.mediaType) === 'none';
			if (isThere) shared.set(blob.digest, (signal) => from.open(blob, signal));
			return Promise.resolve(isThere);
		},
		put: (blob, content) => {
			contents.set(blob.digest, content);
			return Promise.resolve();
		},
		putManifest: async (manifest, tag, signal) => {
			const load = (blobs: ReadonlyMap<Digest, OpenContent>) =>
				engine.load(packArchive(loadArchive(engine.type, manifest, tag, blobs), signal), signal);
			try {
				await load(contents);
			} catch (error) {
				if (shared.size === 0 || !isBuildError(error, 'ENGINE_FAILED')) throw error;
				await load(new Map([...shared, ...contents]));
			}
		},
	};
}

/** The name under which both `podman run NAME` and its API find an image that was loaded as `name`; Docker completes names itself. */
export function nameInStore(engine: Pick<Engine, 'type'>, name: string): string {
	const tagged = /:[^/]*$/.test(name) ? name : `${name}:latest`;
	return engine.type === 'podman' && !namesRegistry(name) ? `localhost/${tagged}` : tagged;
}

function isEngineSource(source: ImageSource): source is EngineSource {
	return 'engine' in source;
}

/**
 * The files of the archive that makes `engine` have the image `manifest` as `name`: an OCI layout for podman, which keeps manifest and
 * digest; the format of `docker save` for Docker, which has read no other for long. Blobs that `blobs` lacks are left out. What makes it
 * an image comes last, so that a part of it is none.
 */
export function loadArchive(
	engine: EngineLocation['type'],
	manifest: Document<Manifest>,
	name: string | undefined,
	blobs: ReadonlyMap<Digest, OpenContent>,
): readonly ArchiveFile[] {
	return engine === 'podman' ? layoutFiles(manifest, name, blobs) : dockerFiles(manifest, name, blobs);
}

function layoutFiles(
	{ value, bytes, descriptor }: Document<Manifest>,
	name: string | undefined,
	blobs: ReadonlyMap<Digest, OpenContent>,
): readonly ArchiveFile[] {
	const { mediaType, digest, size } = descriptor;
	const annotations = name === undefined ? {} : { annotations: { [REF_NAME]: name } };
	const index: Index = {
		schemaVersion: 2,
		mediaType: OCI_INDEX,
		manifests: [{ mediaType, digest, size, ...annotations }],
	};
	return [
		text('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
		...present([value.config, ...value.layers], blobs, (blob) => blobPath(blob.digest)),
		archiveBytes(blobPath(digest), bytes),
		text('index.json', JSON.stringify(index)),
	];
}

function dockerFiles(
	{ value }: Document<Manifest>,
	name: string | undefined,
	blobs: ReadonlyMap<Digest, OpenContent>,
): readonly ArchiveFile[] {
	const nameOf = (blob: Descriptor) =>
		blob === value.config ? `${hexOf(blob.digest)}.json` : `${hexOf(blob.digest)}.tar`;
	const image = {
		Config: nameOf(value.config),
		RepoTags: name === undefined ? [] : [name],
		Layers: value.layers.map(nameOf),
	};
	return [...present([value.config, ...value.layers], blobs, nameOf), text('manifest.json', JSON.stringify([image]))];
}

function present(
	wanted: readonly Descriptor[],
	blobs: ReadonlyMap<Digest, OpenContent>,
	nameOf: (blob: Descriptor) => string,
): readonly ArchiveFile[] {
	const files = wanted.flatMap((blob): readonly [string, ArchiveFile][] => {
		const open = blobs.get(blob.digest);
		return open === undefined ? [] : [[nameOf(blob), { name: nameOf(blob), size: blob.size, open }]];
	});
	return [...new Map(files).values()];
}

function text(name: string, content: string): ArchiveFile {
	return archiveBytes(name, new TextEncoder().encode(content));
}

import type { OpenContent } from '../content/blob.js';
import { blobPath, REF_NAME } from '../content/layout-source.js';
import type { EngineLocation } from '../content/location.js';
import { archiveBytes } from '../content/oci-archive.js';
import type { Descriptor, Document } from '../oci/descriptor.js';
import { type Digest, hexOf } from '../oci/digest.js';
import type { Index, Manifest } from '../oci/image.js';
import { OCI_INDEX } from '../oci/media-types.js';
import type { ArchiveFile } from '../tar/archive.js';

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

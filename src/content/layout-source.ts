import type { Readable } from 'node:stream';
import { BuildError } from '../errors.js';
import type { Descriptor, Document } from '../oci/descriptor.js';
import { algorithmOf, type Digest, hexOf, isDigest } from '../oci/digest.js';
import type { Index } from '../oci/image.js';
import { MAX_MANIFEST_BYTES, parseManifest } from '../oci/manifest.js';
import { OCI_INDEX } from '../oci/media-types.js';
import { isImageEntry } from '../oci/select.js';
import type { ImageSource } from './blob.js';
import { readBytes, verifyStream } from './verify.js';

/** The annotation that names a manifest in the index of an OCI image layout (image-spec v1.1 annotations.md). */
export const REF_NAME = 'org.opencontainers.image.ref.name';

/** The files of an OCI image layout, by their name inside it; undefined when there is no such file. */
export type OpenMember = (name: string, signal: AbortSignal) => Promise<{ stream: Readable; size: number } | undefined>;

/** Where an OCI image layout (image-spec v1.1 image-layout.md) keeps the content of `digest`. */
export function blobPath(digest: Digest): string {
	return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

/**
 * The OCI image layout whose files `open` reads, as an image source. The reference `''` means the only image, whatever artifacts lie
 * beside it, or the whole index when it lists images of one name, or of none. `what` names the layout in messages.
 */
export function layoutSource(open: OpenMember, what: string): ImageSource {
	const openBlob = async (blob: Descriptor, signal: AbortSignal): Promise<Readable> => {
		const member = await open(blobPath(blob.digest), signal);
		if (member === undefined) throw missing(what, `the blob ${blob.digest}`);
		return verifyStream(member.stream, blob, `${blob.digest} in ${what}`);
	};
	return {
		open: openBlob,
		manifest: async (reference, signal) => {
			const index = await readIndex(open, what, signal);
			if (index === undefined) throw missing(what, 'index.json');
			const found = isDigest(reference)
				? { digest: reference, mediaType: undefined }
				: findEntry(index, reference, what);
			if (found === undefined) return index;
			const member = await open(blobPath(found.digest), signal);
			if (member === undefined) throw missing(what, `the manifest ${found.digest}`);
			const bytes = await readBytes(member.stream, MAX_MANIFEST_BYTES, `the manifest ${found.digest} in ${what}`);
			const { digest, mediaType } = found;
			return parseManifest(bytes, { digest, ...(mediaType === undefined ? {} : { mediaType }) }, what);
		},
	};
}

/** The index of the OCI image layout whose files `open` reads, or undefined when it has none yet. Throws IMAGE_INVALID. */
export async function readIndex(
	open: OpenMember,
	what: string,
	signal: AbortSignal,
): Promise<Document<Index> | undefined> {
	const member = await open('index.json', signal);
	if (member === undefined) return undefined;
	const bytes = await readBytes(member.stream, MAX_MANIFEST_BYTES, `index.json of ${what}`);
	const index = parseManifest(bytes, { mediaType: OCI_INDEX }, `index.json of ${what}`);
	return index as Document<Index>;
}

function findEntry(index: Document<Index>, ref: string, what: string): Descriptor | undefined {
	const entries = index.value.manifests;
	const names = entries.flatMap((entry) => entry.annotations?.[REF_NAME] ?? []);
	if (ref !== '') {
		const found = entries.filter((entry) => entry.annotations?.[REF_NAME] === ref);
		if (found.length > 0) return found.find(isImageEntry) ?? found[0];
		throw notFound(`${what} holds no image named ${ref}`, names);
	}
	const images = entries.filter(isImageEntry);
	if (entries.length === 1) return entries[0];
	if (images.length === 1) return images[0];
	const named = new Set(images.map((entry) => entry.annotations?.[REF_NAME]));
	if (images.length > 1 && named.size === 1) return undefined;
	throw notFound(`${what} holds ${entries.length} images and none was named`, names);
}

function notFound(message: string, names: readonly string[]): BuildError {
	const list = JSON.stringify(names.slice(0, 20)).slice(0, 500);
	return new BuildError('IMAGE_INVALID', message, { hint: `Append :REF to the path. The names in it are ${list}.` });
}

function missing(what: string, file: string): BuildError {
	return new BuildError('IMAGE_INVALID', `${what} does not hold ${file}`, {
		hint: 'Check the path, and that the image was copied completely.',
	});
}

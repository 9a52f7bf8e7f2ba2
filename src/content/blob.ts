import type { Readable } from 'node:stream';
import type { Descriptor, Document } from '../oci/descriptor.js';
import type { Digest } from '../oci/digest.js';
import type { Index, Manifest } from '../oci/image.js';

/** Opens content from its start. A thunk rather than a stream, so that a failed transfer can begin again. */
export type OpenContent = (signal: AbortSignal) => Promise<Readable>;

export interface BlobSource {
	/** The bytes of `blob`. The stream fails with DIGEST_MISMATCH instead of ending when size or digest do not match. */
	open(blob: Descriptor, signal: AbortSignal): Promise<Readable>;
}

export interface BlobSink {
	has(blob: Descriptor, signal: AbortSignal): Promise<boolean>;
	/** Stores content that must match `blob`. Storing what is already there is not an error. */
	put(blob: Descriptor, content: OpenContent, signal: AbortSignal): Promise<void>;
}

/** Where an image can be read from: a registry repository, an OCI layout, an archive. */
export interface ImageSource extends BlobSource {
	/** The manifest or index that `reference` names, verified against the digest when it is one. */
	manifest(reference: string | Digest, signal: AbortSignal): Promise<Document<Manifest | Index>>;
}

/** Where an image can be written to. */
export interface ImageTarget extends BlobSink {
	/**
	 * Makes `blob` of `from` present without moving its bytes (OCI distribution-spec v1.1 "mounting"), where `from` is on the
	 * same registry. False means that the caller must `put` it.
	 */
	mount(blob: Descriptor, from: ImageSource, signal: AbortSignal): Promise<boolean>;
	/** Throws REGISTRY_UNAUTHORIZED, REGISTRY_DENIED or REGISTRY_NOT_FOUND when we may not put anything here; absent where that shows at once. */
	admit?(signal: AbortSignal): Promise<void>;
	/** Publishes the manifest under `tag`, or under its digest only when `tag` is undefined. All its blobs must be present. */
	putManifest(manifest: Document<Manifest>, tag: string | undefined, signal: AbortSignal): Promise<void>;
	/** Deletes the manifest `digest` with every tag that names it; absent where nothing can be deleted. Throws when it is refused. */
	remove?(digest: Digest, signal: AbortSignal): Promise<void>;
}

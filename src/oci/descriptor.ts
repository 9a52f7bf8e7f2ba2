import type { Digest } from './digest.js';

/** What the OCI specs call a descriptor: enough to fetch some bytes and to know they are the right ones. `size` is in bytes. */
export interface Descriptor {
	readonly mediaType: string;
	readonly digest: Digest;
	readonly size: number;
	readonly annotations?: Readonly<Record<string, string>>;
	/** As it was written, which may be nothing at all; see `completePlatform`. */
	readonly platform?: Partial<Platform>;
	/** What it is when it is no image (image-spec v1.1 descriptor.md). */
	readonly artifactType?: string;
	/** Where else its bytes may be; never fetched from there. */
	readonly urls?: readonly string[];
}

export interface Platform {
	readonly os: string;
	readonly architecture: string;
	readonly variant?: string;
}

/** A layer blob that was written; sizes in bytes. */
export interface PackedLayer {
	readonly digest: Digest;
	readonly diffId: Digest;
	readonly size: number;
}

/** A parsed JSON document together with the exact bytes it came from, so that it never has to be re-serialised. */
export interface Document<T> {
	readonly value: T;
	readonly bytes: Uint8Array;
	readonly descriptor: Descriptor;
}

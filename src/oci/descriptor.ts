import type { Digest } from './digest.js';

/** What the OCI specs call a descriptor: enough to fetch some bytes and to know they are the right ones. `size` is in bytes. */
export interface Descriptor {
	readonly mediaType: string;
	readonly digest: Digest;
	readonly size: number;
	readonly annotations?: Readonly<Record<string, string>>;
	readonly platform?: Platform;
}

export interface Platform {
	readonly os: string;
	readonly architecture: string;
	readonly variant?: string;
}

/** A parsed JSON document together with the exact bytes it came from, so that it never has to be re-serialised. */
export interface Document<T> {
	readonly value: T;
	readonly bytes: Uint8Array;
	readonly descriptor: Descriptor;
}

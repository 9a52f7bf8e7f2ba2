import type { Digest } from '../oci/digest.js';
import type { Rung, Stage } from './events.js';
import type { Difference } from './reproducible/explain-content.js';

/** What `--result-file` holds, on success and on failure; what was not reached is absent. Sizes in bytes, times in ms. */
export interface BuildResult {
	readonly success: boolean;
	/** The first target as typed by the user, normalised (`docker.io/library/x:latest`); absent when there is none. */
	readonly name?: string;
	/** Manifest digest of the built image. */
	readonly digest?: Digest;
	readonly configDigest?: Digest;
	/** Of its config and all of its layers, as they are in a registry. */
	readonly size?: number;
	/** Nothing ran: an image that was built from the same is named again. */
	readonly reused?: true;
	readonly builder?: { readonly name: string; readonly digest: Digest };
	readonly source?: {
		readonly location: string;
		readonly contextDir?: string;
		readonly commit?: string;
		readonly ref?: string;
		readonly message?: string;
	};
	readonly layer?: {
		readonly digest: Digest;
		readonly diffId: Digest;
		readonly size: number;
		readonly added: number;
		readonly changed: number;
		readonly deleted: number;
	};
	/** Only with `--check-reproducible`: `total` paths differ, of which at most 20 are explained. */
	readonly reproducible?: {
		readonly same: boolean;
		readonly total: number;
		readonly differences: readonly Difference[];
	};
	/** The push failed, and this file says what is kept of the image for `s2oci push --resume`. */
	readonly unpushed?: string;
	readonly rung?: Rung;
	readonly bytes: { readonly downloaded: number; readonly uploaded: number; readonly mounted: number };
	readonly timings: readonly { readonly stage: Stage; readonly ms: number }[];
	readonly assemble?: { readonly exitCode: number };
	/** Of the command that the request has for before the push. */
	readonly beforePush?: { readonly exitCode: number };
	readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** How a build ended: `error` is undefined exactly when `result.success`. */
export interface BuildOutcome {
	readonly result: BuildResult;
	readonly error: unknown;
}

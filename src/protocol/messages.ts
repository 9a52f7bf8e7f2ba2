import type { ErrorCode } from '../errors.js';
import type { Digest } from '../oci/digest.js';
import type { CallName, WorkerCalls } from './worker-calls.js';

/** The worker's descriptor of a socket whose other end only the parent holds. */
export const PARENT_FD = 4;

/** A call as it crosses the channel. */
export type Request = {
	[Name in CallName]: { readonly id: number; readonly call: Name; readonly request: WorkerCalls[Name]['request'] };
}[CallName];

/** An error as it crosses the channel. `code` is absent for a bug, which then carries its stack. */
export interface WireError {
	readonly code?: ErrorCode;
	readonly message: string;
	readonly hint?: string;
	readonly stack?: string;
}

/** What the worker says. */
export type FromWorker =
	| { readonly type: 'ready' }
	| { readonly type: 'answer'; readonly id: number; readonly response: unknown }
	| { readonly type: 'failure'; readonly id: number; readonly error: WireError }
	/** `bytes` of the layer are unpacked so far, uncompressed. */
	| { readonly type: 'unpacked'; readonly diffId: Digest; readonly bytes: number }
	| { readonly type: 'packed'; readonly bytes: number }
	/** Of a build in place, for people. */
	| { readonly type: 'notice'; readonly message: string }
	/** What nobody caught in the worker. */
	| { readonly type: 'fault'; readonly error: WireError };

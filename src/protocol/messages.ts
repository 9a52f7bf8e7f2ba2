import { BuildError, type ErrorCode, isBuildError, messageOf } from '../errors.js';
import { hostFault } from '../host-fault.js';
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

/** `thrown` in the form that crosses the channel. A full disk and the like are no bugs, whoever met them; `place` is where. */
export function toWire(thrown: unknown, place?: string): WireError {
	const error = hostFault(thrown, place);
	if (isBuildError(error)) {
		return { code: error.code, message: error.message, ...(error.hint !== undefined && { hint: error.hint }) };
	}
	const stack = error instanceof Error ? error.stack : undefined;
	return { message: messageOf(error), ...(stack !== undefined && { stack }) };
}

/** The error that `wire` describes: a BuildError, or for a bug a plain Error with the stack of the other end. */
export function fromWire(wire: WireError): Error {
	if (wire.code !== undefined) {
		return new BuildError(wire.code, wire.message, wire.hint === undefined ? {} : { hint: wire.hint });
	}
	const error = new Error(wire.message);
	if (wire.stack !== undefined) error.stack = wire.stack;
	return error;
}

import { BuildError, errnoOf, isBuildError, messageOf } from '../errors.js';
import type { WireError } from './protocol.js';

/** `error` in the form that crosses the channel. A full disk is no bug, whoever met it: it becomes HOST_NO_SPACE. */
export function toWire(error: unknown): WireError {
	if (['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')) {
		return {
			code: 'HOST_NO_SPACE',
			message: `no space is left in the store: ${messageOf(error)}`,
			hint: 'Free some space, or name a larger disk with --store DIR or S2OCI_STORE.',
		};
	}
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

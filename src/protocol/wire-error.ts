import { BuildError, isBuildError, messageOf } from '../errors.js';
import { hostFault } from '../host-fault.js';
import type { WireError } from './messages.js';

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

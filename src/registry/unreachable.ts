import { BuildError, isBuildError } from '../errors.js';
import { describeFailure, failureCode, isTlsFailure } from '../http/failure.js';
import { SLOW_HINT, TOO_SLOW } from '../http/least-rate.js';

const HINTS: Readonly<Record<string, string>> = {
	ENOTFOUND: 'Check the spelling of the host name, and that this machine can resolve it.',
	EAI_AGAIN: 'Name resolution does not work here; check DNS and the network of the container.',
	ECONNREFUSED: 'Nothing listens there; check the port, and that the registry runs.',
	UND_ERR_CONNECT_TIMEOUT: 'Check the network, and HTTPS_PROXY if this network needs a proxy.',
	[TOO_SLOW]: SLOW_HINT,
};
const TLS_HINT =
	'Give the certificate authority with --ca-bundle; for a test registry without valid TLS, name it with --insecure-registry.';

/** REGISTRY_UNREACHABLE for `what` (method and redacted URL) that failed below HTTP; the hint depends on why. */
export function unreachable(what: string, error: unknown): BuildError {
	if (isBuildError(error)) return error;
	const code = failureCode(error);
	const hint = isTlsFailure(code)
		? TLS_HINT
		: (HINTS[code] ?? 'Check the network between here and the registry, and try again.');
	return new BuildError('REGISTRY_UNREACHABLE', `${what} failed: ${describeFailure(error)}`, { hint, cause: error });
}

/** Whether `error` is a network failure that may pass: not a certificate or a host name that does not exist. */
export function isTransient(error: unknown): boolean {
	if (!isBuildError(error, 'REGISTRY_UNREACHABLE') || error.cause === undefined) return false;
	const code = failureCode(error.cause);
	return code !== 'ENOTFOUND' && !isTlsFailure(code);
}

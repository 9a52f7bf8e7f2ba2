import { BuildError, errnoOf, isBuildError, messageOf } from '../errors.js';
import { redact, redactUrl } from '../redact.js';
import { SLOW_HINT, TOO_SLOW } from './least-rate.js';
import type { Policy } from './policy.js';

const HINTS: Readonly<Record<string, string>> = {
	ENOTFOUND: 'Check the spelling of the host name, and that this machine can resolve it.',
	EAI_AGAIN: 'Name resolution does not work here; check DNS and the network of the container.',
	ECONNREFUSED: 'Nothing listens there; check the host and the port, and that the server runs.',
	UND_ERR_CONNECT_TIMEOUT: 'Check the network, and HTTPS_PROXY if this network needs a proxy.',
	[TOO_SLOW]: SLOW_HINT,
};
const STATUS_HINTS: Readonly<Record<number, string>> = {
	401: 'Put the credentials into the URL (https://name:token@host/path); they are sent to that host only.',
	403: 'The server does not allow this; check the credentials, and that the URL has not expired.',
	404: 'Check the spelling of the URL.',
	407: 'The proxy wants credentials: set HTTPS_PROXY to http://name:password@host:port.',
	410: 'Check the spelling of the URL.',
	429: 'The server limits how often it is asked; try again later.',
};
const TLS_FAILURE = /^(?:ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/;

/** The `failed` of `policy` for `what` (method and redacted URL) that failed below HTTP; the hint depends on why. A BuildError stays as it is. */
export function requestFailed(what: string, error: unknown, policy: Policy): BuildError {
	if (isBuildError(error)) return error;
	const code = failureCode(error);
	const other = HINTS[code] ?? 'Check the network between here and the server, and try again.';
	const hint = isTlsFailure(code) ? policy.hints.tls : other;
	return new BuildError(policy.failed, `${what} failed: ${describeFailure(error)}`, { hint, cause: error });
}

/** The code of the system, unless the words have it, and the words, redacted, at most 300 characters. */
function describeFailure(error: unknown): string {
	const code = failureCode(error);
	const words = redact(messageOf(error)).slice(0, 300);
	return code === '' || code === TOO_SLOW || words.includes(code) ? words : `${code} ${words}`;
}

/** The error for an answer that is not the content: HTTP_NOT_FOUND for 404 and 410, else HTTP_FAILED. */
export function statusFailed(url: URL, status: number): BuildError {
	const code = status === 404 || status === 410 ? 'HTTP_NOT_FOUND' : 'HTTP_FAILED';
	const other = status >= 500 ? 'The server has a problem; try again later.' : 'Check the URL with a browser or curl.';
	return new BuildError(code, `GET ${redactUrl(url)} was answered with status ${status}`, {
		hint: STATUS_HINTS[status] ?? other,
	});
}

/** The code of the system error at the root of `error`; `''` when there is none. Happy Eyeballs throws one error for each address. */
export function failureCode(error: unknown): string {
	if (error instanceof AggregateError) return error.errors.map(failureCode).find((code) => code !== '') ?? '';
	const own = errnoOf(error);
	if (own !== undefined) return own;
	return error instanceof Error && error.cause !== undefined ? failureCode(error.cause) : '';
}

/** Whether the system error `code` says that a certificate is not trusted, or TLS itself fails. */
export function isTlsFailure(code: string): boolean {
	return TLS_FAILURE.test(code);
}

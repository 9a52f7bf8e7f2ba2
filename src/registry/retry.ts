import { setTimeout as delay } from 'node:timers/promises';
import { isBuildError, messageOf } from '../errors.js';
import { discard, type HttpResponse } from '../http/client.js';
import { failureCode, isTlsFailure } from '../http/failure.js';
import { redact, redactUrl } from '../redact.js';
import { ATTEMPTS, type Middleware, type RegistryRequest, type RetryOptions, type Transport } from './transport.js';

const RETRYABLE: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const FIRST_WAIT = 500;
const MAX_WAIT = 60_000;

/** Whether a response of `status` may be different next time. */
export function isRetryableStatus(status: number): boolean {
	return RETRYABLE.has(status);
}

/**
 * Repeats requests, as often as their `tries` allow, after network failures and 408, 429, 5xx. Waits as long as
 * Retry-After says, at most 60 s, else twice as long each time, with jitter. The last response or error is the result.
 */
export function retry(options: RetryOptions): Middleware {
	return (next) => async (request, signal) => {
		const { method, url, tries = method === 'GET' || method === 'HEAD' ? ATTEMPTS : 1 } = request;
		const what = `${method} ${redactUrl(url)}`;
		for (let attempt = 1; attempt < Math.min(tries, options.attempts ?? ATTEMPTS); attempt += 1) {
			const outcome = await attemptOnce(next, request, signal);
			if (outcome.reason === undefined) return outcome.response;
			await waitToRetry({ what, attempt, reason: outcome.reason }, outcome.after, options, signal);
		}
		return next(request, signal);
	};
}

/** Waits before attempt `attempt` + 1, and tells `onRetry`. `afterMs` is what the server asked for. */
export async function waitToRetry(
	failed: { readonly what: string; readonly attempt: number; readonly reason: string },
	afterMs: number | undefined,
	options: RetryOptions,
	signal: AbortSignal,
): Promise<void> {
	const random = options.random ?? Math.random;
	const backoff = FIRST_WAIT * 2 ** (failed.attempt - 1) * (0.5 + random());
	const wait = Math.round(Math.min(MAX_WAIT, afterMs ?? backoff));
	options.onRetry?.({ ...failed, afterMs: wait });
	await (options.sleep ?? sleep)(wait, signal);
}

/** A Retry-After header (RFC 9110 10.2.3: seconds or a date) in milliseconds from `now`; undefined when there is none. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
	if (header === undefined) return undefined;
	if (/^\s*[0-9]{1,9}\s*$/.test(header)) return Number(header) * 1000;
	const date = Date.parse(header);
	return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

type Outcome =
	| { readonly reason: undefined; readonly response: HttpResponse }
	| { readonly reason: string; readonly after: number | undefined };

async function attemptOnce(next: Transport, request: RegistryRequest, signal: AbortSignal): Promise<Outcome> {
	try {
		const response = await next(request, signal);
		if (!isRetryableStatus(response.status)) return { reason: undefined, response };
		discard(response);
		const after = parseRetryAfter(response.headers['retry-after'], Date.now());
		return { reason: `HTTP ${response.status}`, after };
	} catch (error) {
		if (signal.aborted || !isTransient(error)) throw error;
		return { reason: redact(messageOf(error)), after: undefined };
	}
}

/** Whether `error` is a network failure that may pass: not a certificate or a host name that does not exist. */
export function isTransient(error: unknown): boolean {
	if (!isBuildError(error, 'REGISTRY_UNREACHABLE') || error.cause === undefined) return false;
	const code = failureCode(error.cause);
	return code !== 'ENOTFOUND' && !isTlsFailure(code);
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
	try {
		await delay(ms, undefined, { signal });
	} catch (error) {
		signal.throwIfAborted();
		throw error;
	}
}

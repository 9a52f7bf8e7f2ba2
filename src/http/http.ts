import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { BuildError } from '../errors.js';
import { redactUrl } from '../redact.js';
import { decodeChunks } from './decode.js';
import { type Dispatchers, IDLE_TIMEOUT, openDispatchers } from './dispatchers.js';
import { requestFailed, statusFailed } from './failure.js';
import { firstHop, type Hop, nextHop } from './hop.js';

/** Plain HTTP, for sources, scripts and callbacks. Rejects with HTTP_FAILED, HTTP_NOT_FOUND, or `signal.reason` when aborted. */
export interface Http {
	/**
	 * GET of an http or https URL as a stream, which must be consumed or destroyed; `url` is what answered in the end, without user
	 * info. Follows at most 5 redirects, never from https to http; credentials in the URL go to their origin only and never to another
	 * host, scheme or port. A host that a label named (`namedBy`) or a server redirects to is not at every address. Only 200 and 201 count; 404 and 410 are HTTP_NOT_FOUND. More than `maxBytes` is an error, not truncation.
	 */
	readonly get: (
		url: string,
		options: { readonly maxBytes: number; readonly namedBy?: 'image' },
		signal: AbortSignal,
	) => Promise<{ readonly body: Readable; readonly url: string }>;
	/**
	 * POST; resolves with the status, whatever it is; redirects are not followed. Without an answer within `timeoutMs` it is sent again,
	 * body and all, until `tries` are used up.
	 */
	readonly post: (
		url: string,
		body: string,
		options: { readonly contentType: string; readonly tries: number; readonly timeoutMs: number },
		signal: AbortSignal,
	) => Promise<number>;
	/** Ends all connections. */
	readonly close: () => Promise<void>;
}

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const BETWEEN_TRIES = 500;
const GZIP_NAME = /\.(?:t?gz|taz)$/i;
const GZIP_TYPE = /^application\/(?:x-)?(?:gzip|tgz|tar\+gzip|gtar-compressed|compressed-tar)\b/i;

type Answer = Dispatcher.ResponseData;
type Send = (hop: Hop, options: Sent, signal: AbortSignal) => Promise<Answer>;

interface Sent {
	readonly method: 'GET' | 'POST';
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: string;
}

/** HTTP over undici, through the proxies of `env` (never for loopback); nothing is read, loaded or sent before it is used. */
export function openHttp(options: {
	readonly env: Readonly<Record<string, string | undefined>>;
	/** Path of a PEM file that is trusted in addition. */
	readonly caBundle: string | undefined;
	/** For example `s2oci/1.2.3`. */
	readonly userAgent: string;
	/** Who names what is got, unless that is said. */
	readonly namedBy?: 'user' | 'image' | undefined;
	/** In place of the system's, for tests. */
	readonly lookup?: LookupFunction;
}): Http {
	const dispatchers = openDispatchers({ ...options, unreachable: 'HTTP_FAILED', refused: 'HTTP_FAILED' });
	const send = sendWith(dispatchers, options.userAgent);
	return {
		get: async (url, { maxBytes, namedBy = options.namedBy }, signal) => {
			return get(send, firstHop(url, namedBy), maxBytes, signal);
		},
		post: async (url, body, { contentType, tries, timeoutMs }, signal) => {
			const sent: Sent = { method: 'POST', headers: { 'content-type': contentType }, body };
			return post(send, firstHop(url), sent, { tries, timeoutMs }, signal);
		},
		close: () => dispatchers.close(),
	};
}

function sendWith(dispatchers: Dispatchers, userAgent: string): Send {
	return async ({ url, authorization, namedBy }, { method, headers, body }, signal) => {
		signal.throwIfAborted();
		const dispatcher = await dispatchers.open(url, false, namedBy);
		const { request } = await import('undici');
		const own = { 'user-agent': userAgent, 'accept-encoding': 'identity', accept: '*/*' };
		try {
			return await request(url, {
				dispatcher,
				method,
				headers: { ...own, ...headers, ...(authorization === undefined ? {} : { authorization }) },
				body: body ?? null,
				signal,
				headersTimeout: IDLE_TIMEOUT,
				bodyTimeout: IDLE_TIMEOUT,
			});
		} catch (error) {
			signal.throwIfAborted();
			throw requestFailed(method, url, error);
		}
	};
}

async function get(
	send: Send,
	first: Hop,
	maxBytes: number,
	signal: AbortSignal,
): Promise<{ readonly body: Readable; readonly url: string }> {
	let hop = first;
	for (let count = 0; count <= MAX_REDIRECTS; count += 1) {
		const answer = await send(hop, { method: 'GET' }, signal);
		const location = REDIRECTS.has(answer.statusCode) ? headerOf(answer, 'location') : undefined;
		if (location === undefined) {
			if (answer.statusCode === 200 || answer.statusCode === 201) {
				return { body: limitBody(answer, hop.url, maxBytes, signal), url: hop.url.href };
			}
			discard(answer);
			throw statusFailed(hop.url, answer.statusCode);
		}
		discard(answer);
		hop = nextHop(hop, location);
	}
	throw new BuildError('HTTP_FAILED', `${redactUrl(first.url)} redirects more than ${MAX_REDIRECTS} times`, {
		hint: 'Give the URL that it leads to in the end.',
	});
}

async function post(
	send: Send,
	hop: Hop,
	sent: Sent,
	{ tries, timeoutMs }: { readonly tries: number; readonly timeoutMs: number },
	signal: AbortSignal,
): Promise<number> {
	for (let attempt = 1; ; attempt += 1) {
		const limit = AbortSignal.timeout(timeoutMs);
		try {
			const answer = await send(hop, sent, AbortSignal.any([signal, limit]));
			discard(answer);
			return answer.statusCode;
		} catch (error) {
			signal.throwIfAborted();
			if (attempt >= tries) throw limit.aborted ? noAnswer(hop.url, timeoutMs) : requestFailed('POST', hop.url, error);
		}
		await delay(BETWEEN_TRIES, undefined, { signal }).catch(() => signal.throwIfAborted());
	}
}

function noAnswer(url: URL, timeoutMs: number): BuildError {
	return new BuildError('HTTP_FAILED', `POST ${redactUrl(url)} had no answer within ${timeoutMs} ms`, {
		hint: 'Check that the server works, and HTTPS_PROXY if this network needs a proxy.',
	});
}

function limitBody(answer: Answer, url: URL, maxBytes: number, signal: AbortSignal): Readable {
	const { body } = answer;
	const tooLarge = (): BuildError =>
		new BuildError('HTTP_FAILED', `${redactUrl(url)} is larger than ${maxBytes} bytes`, {
			hint: 'Check that the URL leads to what you want; larger files are not taken.',
		});
	if (Number(headerOf(answer, 'content-length')) > maxBytes) {
		discard(answer);
		throw tooLarge();
	}
	const encoding = headerOf(answer, 'content-encoding');
	const isGzip = GZIP_NAME.test(url.pathname) || GZIP_TYPE.test(headerOf(answer, 'content-type') ?? '');
	const decoded = decodeChunks(body as AsyncIterable<Buffer>, { encoding, isGzip });
	const limited = Readable.from(countBytes(decoded, url, maxBytes, tooLarge, signal), { objectMode: false });
	body.on('error', () => undefined);
	limited.once('close', () => body.destroy());
	return limited;
}

async function* countBytes(
	chunks: AsyncIterable<Buffer>,
	url: URL,
	maxBytes: number,
	tooLarge: () => BuildError,
	signal: AbortSignal,
): AsyncGenerator<Buffer> {
	let size = 0;
	try {
		for await (const chunk of chunks) {
			size += chunk.length;
			if (size > maxBytes) throw tooLarge();
			yield chunk;
		}
	} catch (error) {
		signal.throwIfAborted();
		throw requestFailed('GET', url, error);
	}
}

function headerOf({ headers }: Answer, name: string): string | undefined {
	const value = headers[name];
	return Array.isArray(value) ? value[0] : value;
}

function discard({ body }: Answer): void {
	body.on('error', () => undefined);
	body.destroy();
}

import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildError } from '../errors.js';
import { redactUrl } from '../redact.js';
import { userOf } from './basic.js';
import {
	bodyOf,
	type ClientOptions,
	discard,
	type HttpRequest,
	type HttpResponse,
	openClient,
	type Send,
} from './client.js';
import { passOn } from './decode.js';
import { requestFailed, statusFailed } from './failure.js';
import { WEB } from './policy.js';
import { bare, followRedirects } from './redirect.js';

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
	readonly post: (url: string, body: string, options: PostOptions, signal: AbortSignal) => Promise<number>;
	/** Ends all connections. */
	readonly close: () => Promise<void>;
}

interface PostOptions {
	readonly contentType: string;
	readonly tries: number;
	readonly timeoutMs: number;
}

const BETWEEN_TRIES = 500;

/** HTTP by a client of its own. What is got is named by `namedBy` unless that is said: by the user, or by an image. */
export function openHttp(options: ClientOptions & { readonly namedBy?: 'image' | undefined }): Http {
	const { send, close } = openClient(options, WEB);
	const follow = followRedirects(send, WEB);
	return {
		get: async (text, { maxBytes, namedBy = options.namedBy }, signal) => {
			const response = await follow({ ...requestTo('GET', text), namedBy, mayBeGzip: true }, signal);
			const { status, url } = response;
			if (status === 200 || status === 201) return { body: limitBody(response, maxBytes, signal), url: url.href };
			discard(response);
			throw statusFailed(url, status);
		},
		post: async (text, body, { contentType, ...limits }, signal) => {
			const { headers, ...request } = requestTo('POST', text);
			const sent = { ...request, headers: { ...headers, 'content-type': contentType }, body: bodyOf(body) };
			return post(send, sent, limits, signal);
		},
		close,
	};
}

/** A request to the URL `text`, its user info made an Authorization header (RFC 7617). Throws HTTP_FAILED for what is no http or https URL. */
export function requestTo(method: 'GET' | 'POST', text: string): HttpRequest {
	if (!URL.canParse(text)) throw notHttp('the URL cannot be parsed');
	const url = new URL(text);
	if (!/^https?:$/.test(url.protocol)) throw notHttp(`${redactUrl(url)} is not an http or https URL`);
	const authorization = userOf(url);
	const headers = { accept: '*/*', ...(authorization === undefined ? {} : { authorization }) };
	return { method, url: bare(url), headers };
}

async function post(
	send: Send,
	request: HttpRequest,
	{ tries, timeoutMs }: Omit<PostOptions, 'contentType'>,
	signal: AbortSignal,
): Promise<number> {
	const what = `POST ${redactUrl(request.url)}`;
	for (let attempt = 1; ; attempt += 1) {
		const limit = AbortSignal.timeout(timeoutMs);
		try {
			const response = await send(request, AbortSignal.any([signal, limit]));
			discard(response);
			return response.status;
		} catch (error) {
			signal.throwIfAborted();
			if (attempt >= tries) throw limit.aborted ? noAnswer(what, timeoutMs) : requestFailed(what, error, WEB);
		}
		await delay(BETWEEN_TRIES, undefined, { signal }).catch(() => signal.throwIfAborted());
	}
}

function noAnswer(what: string, timeoutMs: number): BuildError {
	return new BuildError('HTTP_FAILED', `${what} had no answer within ${timeoutMs} ms`, {
		hint: 'Check that the server works, and HTTPS_PROXY if this network needs a proxy.',
	});
}

function limitBody(response: HttpResponse, maxBytes: number, signal: AbortSignal): Readable {
	const url = redactUrl(response.url);
	const tooLarge = new BuildError('HTTP_FAILED', `${url} is larger than ${maxBytes} bytes`, {
		hint: 'Check that the URL leads to what you want; larger files are not taken.',
	});
	if (Number(response.headers['content-length']) > maxBytes) {
		discard(response);
		throw tooLarge;
	}
	async function* limited(): AsyncGenerator<Uint8Array> {
		let size = 0;
		try {
			for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
				size += chunk.length;
				if (size > maxBytes) throw tooLarge;
				yield chunk;
			}
		} catch (error) {
			signal.throwIfAborted();
			throw requestFailed(`GET ${url}`, error, WEB);
		}
	}
	return passOn(response.body, limited());
}

function notHttp(problem: string): BuildError {
	return new BuildError('HTTP_FAILED', problem, { hint: 'Write it as https://host/path.' });
}

import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { OpenContent } from '../content/blob.js';
import { isBuildError } from '../errors.js';
import { decodeChunks, isEncoded } from '../http/decode.js';
import { IDLE_TIMEOUT, openDispatchers } from '../http/dispatchers.js';
import type { RepositoryName } from '../oci/reference.js';
import { redactUrl } from '../redact.js';
import { unreachable } from './unreachable.js';

/** What a request wants to do in which repository: decides the token scope and the credentials. `from` is the source of a mount. */
export interface Access {
	readonly repository: RepositoryName;
	readonly actions: 'pull' | 'pull,push' | 'delete';
	readonly from?: RepositoryName;
}

/** An HTTP request. `body.size` is in bytes; `open` is called again when the request has to be repeated. */
export interface HttpRequest {
	readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
	readonly url: URL;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: { readonly size: number; readonly open: OpenContent };
	/** Absent means: never send credentials. */
	readonly access?: Access;
	/** How many bytes of content the answer is to have. A body of exactly so many is taken as it is, whatever Content-Encoding says. */
	readonly awaited?: number;
	/** Whether doing it twice is the same as doing it once; GET and HEAD always are. */
	readonly idempotent?: boolean;
	/** `never` answers with the redirect itself: for requests whose body is a secret. */
	readonly redirect?: 'follow' | 'never';
	/** The server whose word this address is, when it is not its own host's; absent for the host that the user named. */
	readonly namedBy?: URL;
}

/** An HTTP response; header names are lower-case. `url` is what answered in the end, after redirects. The body must be consumed. */
export interface HttpResponse {
	readonly status: number;
	readonly headers: Readonly<Record<string, string | undefined>>;
	readonly body: Readable;
	readonly url: URL;
	/** Whether the body was encoded for its transfer, and so what it has of length and ranges is none of the content. */
	readonly decoded?: boolean;
}

/** Sends one request. Rejects with REGISTRY_UNREACHABLE when there is no response, with `signal.reason` when aborted. */
export type Transport = (request: HttpRequest, signal: AbortSignal) => Promise<HttpResponse>;
/** A step around a transport: retry, redirects, authorization. */
export type Middleware = (next: Transport) => Transport;

/** How to reach hosts. `insecure` holds URL hosts whose certificates are not verified; `caBundle` is the path of a PEM file. */
export interface TransportOptions {
	readonly env: Readonly<Record<string, string | undefined>>;
	readonly insecure: (url: URL) => boolean;
	readonly caBundle: string | undefined;
	readonly userAgent: string;
	/** In place of the system's, for tests. */
	readonly lookup?: LookupFunction;
}

// A registry may copy a blob to its storage before it answers the PUT.
const COMMIT_TIMEOUT = 300_000;

/** HTTP/1.1 over undici: kept-alive connections, proxies of `env` (never for loopback), no redirects. `close` ends all connections. */
export function openTransport(options: TransportOptions): { readonly send: Transport; close(): Promise<void> } {
	const { env, caBundle, userAgent, lookup } = options;
	const codes = { unreachable: 'REGISTRY_UNREACHABLE', refused: 'REGISTRY_REFUSED' } as const;
	const dispatchers = openDispatchers({ env, caBundle, lookup, ...codes });
	return {
		send: async (request, signal) => {
			signal.throwIfAborted();
			const { url } = request;
			const insecure = url.protocol === 'https:' && options.insecure(url);
			const dispatcher = await dispatchers.open(url, insecure, request.namedBy ?? 'user');
			return send(request, dispatcher, userAgent, signal);
		},
		close: () => dispatchers.close(),
	};
}

/** Gives up the rest of `response`; keeps its connection when little is left. */
export function discard(response: HttpResponse): void {
	const length = Number(response.headers['content-length'] ?? Number.NaN);
	response.body.on('error', () => undefined);
	if (length <= 64 * 1024) response.body.resume();
	else response.body.destroy();
}

async function send(
	request: HttpRequest,
	dispatcher: Dispatcher,
	userAgent: string,
	signal: AbortSignal,
): Promise<HttpResponse> {
	const { request: undiciRequest } = await import('undici');
	const body = await request.body?.open(signal);
	let bodyError: unknown;
	body?.on('error', (error) => (bodyError = error));
	try {
		const response = await undiciRequest(request.url, {
			dispatcher,
			method: request.method,
			headers: headersOf(request, userAgent),
			body: body ?? null,
			signal,
			headersTimeout: request.body === undefined ? IDLE_TIMEOUT : COMMIT_TIMEOUT,
			bodyTimeout: IDLE_TIMEOUT,
		});
		const { statusCode: status, body: content } = response;
		return decoded(request, { status, headers: joinHeaders(response.headers), body: content, url: request.url });
	} catch (error) {
		body?.destroy();
		signal.throwIfAborted();
		if (isBuildError(bodyError)) throw bodyError;
		throw unreachable(`${request.method} ${redactUrl(request.url)}`, error);
	}
}

/** An encoding that nobody asked for is undone, except for HEAD, whose headers alone are wanted, and parts of a content. */
function decoded(request: HttpRequest, response: HttpResponse): HttpResponse {
	const { 'content-encoding': encoding, 'content-length': length, ...headers } = response.headers;
	const isContent = length !== undefined && Number(length) === request.awaited;
	if (request.method === 'HEAD' || response.status === 206 || isContent || !isEncoded(encoding)) return response;
	const chunks = decodeChunks(response.body as AsyncIterable<Buffer>, { encoding, isGzip: false });
	const body = Readable.from(chunks, { objectMode: false });
	response.body.on('error', () => undefined);
	body.once('close', () => response.body.destroy());
	return { ...response, headers, body, decoded: true };
}

function headersOf(request: HttpRequest, userAgent: string): Record<string, string> {
	const length = request.body?.size ?? (request.method === 'POST' || request.method === 'PUT' ? 0 : undefined);
	return {
		'user-agent': userAgent,
		'accept-encoding': 'identity',
		...request.headers,
		...(length === undefined ? {} : { 'content-length': String(length) }),
	};
}

function joinHeaders(
	headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | undefined> {
	const entries = Object.entries(headers);
	return Object.fromEntries(entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]));
}

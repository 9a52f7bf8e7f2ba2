import { Readable } from 'node:stream';
import { isBuildError } from '../errors.js';
import { redactUrl } from '../redact.js';
import { decodeChunks, isEncoded, isGzipFile, passOn } from './decode.js';
import { type ConnectionOptions, openDispatchers } from './dispatchers.js';
import { requestFailed } from './failure.js';
import type { NamedBy } from './lookup.js';
import type { Policy } from './policy.js';

/** An HTTP request. */
export interface HttpRequest {
	readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
	/** Without user info. */
	readonly url: URL;
	readonly headers?: Readonly<Record<string, string>>;
	/** `size` is in bytes; `open` is called again when the request has to be repeated. */
	readonly body?: { readonly size: number; readonly open: (signal: AbortSignal) => Promise<Readable> } | undefined;
	/** How many bytes of content the answer is to have. A body of exactly so many is taken as it is, whatever Content-Encoding says. */
	readonly awaited?: number | undefined;
	/** Whether the content may be a gzip file of its own, as its name or type says. */
	readonly mayBeGzip?: boolean | undefined;
	/** `never` answers with the redirect itself: for requests whose body is a secret. */
	readonly redirect?: 'follow' | 'never';
	/** Who named the host; the user when undefined. */
	readonly namedBy?: NamedBy | undefined;
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

/** Sends one request. Rejects with the `failed` of its policy when there is no response, with `signal.reason` when aborted. */
export type Send<R extends HttpRequest = HttpRequest> = (request: R, signal: AbortSignal) => Promise<HttpResponse>;

/** What differs from one client to the next. */
export interface ClientOptions extends ConnectionOptions {
	/** For example `s2oci/1.2.3`. */
	readonly userAgent: string;
}

const IDLE_TIMEOUT = 60_000;
// A registry may copy a blob to its storage before it answers the PUT.
const COMMIT_TIMEOUT = 300_000;
/** Headers of which several are one list (RFC 9110 5.3); of any other the first counts. */
const LISTS: ReadonlySet<string> = new Set(['www-authenticate', 'warning']);

/**
 * HTTP/1.1 over undici: kept-alive connections, proxies of `env` (never for loopback), no redirects. Nothing is read, loaded or sent before
 * it is used. `insecure` are URLs whose certificates are not verified; `close` ends all connections.
 */
export function openClient(
	options: ClientOptions,
	policy: Policy,
	insecure: (url: URL) => boolean = () => false,
): { readonly send: Send; readonly close: () => Promise<void> } {
	const dispatchers = openDispatchers(options, policy);
	const send: Send = async (request, signal) => {
		signal.throwIfAborted();
		const { method, url } = request;
		const isInsecure = url.protocol === 'https:' && insecure(url);
		const dispatcher = await dispatchers.open(url, isInsecure, request.namedBy ?? 'user');
		const body = await request.body?.open(signal);
		let bodyError: unknown;
		body?.on('error', (error) => (bodyError = error));
		try {
			const response = await dispatcher.request({
				origin: url.origin,
				path: `${url.pathname}${url.search}`,
				method,
				headers: headersOf(request, options.userAgent),
				body: body ?? null,
				signal,
				headersTimeout: request.body === undefined ? IDLE_TIMEOUT : COMMIT_TIMEOUT,
				bodyTimeout: IDLE_TIMEOUT,
			});
			const { statusCode: status, body: content } = response;
			return decoded(request, { status, headers: readHeaders(response.headers), body: content, url });
		} catch (error) {
			body?.destroy();
			signal.throwIfAborted();
			throw isBuildError(bodyError) ? bodyError : requestFailed(`${method} ${redactUrl(url)}`, error, policy);
		}
	};
	return { send, close: () => dispatchers.close() };
}

/** Gives up the rest of `response`; keeps its connection when little is left. */
export function discard({ headers, body }: HttpResponse): void {
	body.on('error', () => undefined);
	if (Number(headers['content-length'] ?? Number.NaN) <= 64 * 1024) body.resume();
	else body.destroy();
}

/** The body of a request that is in memory. */
export function bodyOf(content: Uint8Array | string): Required<HttpRequest>['body'] {
	const bytes = typeof content === 'string' ? Buffer.from(content) : content;
	return { size: bytes.length, open: () => Promise.resolve(Readable.from([bytes], { objectMode: false })) };
}

/** An encoding that nobody asked for is undone, except for HEAD, whose headers alone are wanted, and parts of a content. */
function decoded(request: HttpRequest, response: HttpResponse): HttpResponse {
	const { 'content-encoding': encoding, 'content-length': length, ...headers } = response.headers;
	const isContent = length !== undefined && Number(length) === request.awaited;
	if (request.method === 'HEAD' || response.status === 206 || isContent || !isEncoded(encoding)) return response;
	const isGzip = request.mayBeGzip === true && isGzipFile(request.url, headers['content-type']);
	const chunks = decodeChunks(response.body as AsyncIterable<Buffer>, { encoding, isGzip });
	return { ...response, headers, body: passOn(response.body, chunks), decoded: true };
}

function headersOf({ method, headers, body }: HttpRequest, userAgent: string): Record<string, string> {
	const length = body?.size ?? (method === 'POST' || method === 'PUT' ? 0 : undefined);
	return {
		'user-agent': userAgent,
		'accept-encoding': 'identity',
		...headers,
		...(length === undefined ? {} : { 'content-length': String(length) }),
	};
}

function readHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): HttpResponse['headers'] {
	const entries = Object.entries(headers).map(([name, value]) => {
		if (!Array.isArray(value)) return [name, value] as const;
		return [name, LISTS.has(name) ? value.join(', ') : value[0]] as const;
	});
	return Object.fromEntries(entries);
}

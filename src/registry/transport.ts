import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import type { Dispatcher } from 'undici';
import type { OpenContent } from '../content/blob.js';
import { BuildError, errnoOf, isBuildError, messageOf } from '../errors.js';
import type { RepositoryName } from '../oci/reference.js';
import { redactUrl } from '../redact.js';
import { isLoopback } from './hosts.js';
import { unreachable } from './unreachable.js';

/** What a request wants to do in which repository: decides the token scope and the credentials. `from` is the source of a mount. */
export interface Access {
	readonly repository: RepositoryName;
	readonly actions: 'pull' | 'pull,push';
	readonly from?: RepositoryName;
}

/** An HTTP request. `body.size` is in bytes; `open` is called again when the request has to be repeated. */
export interface HttpRequest {
	readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
	readonly url: URL;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: { readonly size: number; readonly open: OpenContent };
	/** Absent means: never send credentials. */
	readonly access?: Access;
	/** Whether doing it twice is the same as doing it once; GET and HEAD always are. */
	readonly idempotent?: boolean;
	/** `never` answers with the redirect itself: for requests whose body is a secret. */
	readonly redirect?: 'follow' | 'never';
}

/** An HTTP response; header names are lower-case. `url` is what answered in the end, after redirects. The body must be consumed. */
export interface HttpResponse {
	readonly status: number;
	readonly headers: Readonly<Record<string, string | undefined>>;
	readonly body: Readable;
	readonly url: URL;
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
}

const SECOND = 1000;
const CONNECT_TIMEOUT = 30 * SECOND;
const IDLE_TIMEOUT = 60 * SECOND;
// A registry may copy a blob to its storage before it answers the PUT.
const COMMIT_TIMEOUT = 300 * SECOND;

/** HTTP/1.1 over undici: kept-alive connections, proxies of `env` (never for loopback), no redirects. `close` ends all connections. */
export function openTransport(options: TransportOptions): { readonly send: Transport; close(): Promise<void> } {
	const dispatchers = new Map<string, Promise<Dispatcher>>();
	const dispatcherFor = (url: URL): Promise<Dispatcher> => {
		const insecure = url.protocol === 'https:' && options.insecure(url);
		const proxied = !isLoopback(url) && proxyOf(options.env, url.protocol) !== undefined;
		const key = `${insecure ? 'insecure' : 'verified'} ${proxied ? 'proxied' : 'direct'}`;
		const dispatcher = dispatchers.get(key) ?? openDispatcher(options, insecure, proxied);
		dispatchers.set(key, dispatcher);
		return dispatcher;
	};
	return {
		send: async (request, signal) => {
			signal.throwIfAborted();
			return send(request, await dispatcherFor(request.url), options.userAgent, signal);
		},
		close: async () => {
			await Promise.all([...dispatchers.values()].map(destroy));
		},
	};
}

/** Gives up the rest of `response`; keeps its connection when little is left. */
export function discard(response: HttpResponse): void {
	const length = Number(response.headers['content-length'] ?? Number.NaN);
	response.body.on('error', () => undefined);
	if (length <= 64 * 1024) response.body.resume();
	else response.body.destroy();
}

async function destroy(opening: Promise<Dispatcher>): Promise<void> {
	const dispatcher = await opening.catch(() => undefined);
	await dispatcher?.destroy();
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
		return {
			status: response.statusCode,
			headers: joinHeaders(response.headers),
			body: response.body,
			url: request.url,
		};
	} catch (error) {
		body?.destroy();
		signal.throwIfAborted();
		if (isBuildError(bodyError)) throw bodyError;
		throw unreachable(`${request.method} ${redactUrl(request.url)}`, error);
	}
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

async function openDispatcher(options: TransportOptions, insecure: boolean, proxied: boolean): Promise<Dispatcher> {
	const { Agent, EnvHttpProxyAgent } = await import('undici');
	const ca = await certificates(options.caBundle);
	const tls = { ...(ca === undefined ? {} : { ca }), ...(insecure ? { rejectUnauthorized: false } : {}) };
	const connect = { ...tls, timeout: CONNECT_TIMEOUT };
	const settings = { connect, connections: 16, maxHeaderSize: 64 * 1024 };
	if (!proxied) return new Agent(settings);
	return new EnvHttpProxyAgent({
		...settings,
		requestTls: connect,
		proxyTls: ca === undefined ? {} : { ca },
		proxyTunnel: false,
		httpProxy: proxyOf(options.env, 'http:') ?? '',
		httpsProxy: proxyOf(options.env, 'https:') ?? '',
		noProxy: options.env['no_proxy'] ?? options.env['NO_PROXY'] ?? '',
	});
}

function proxyOf(env: Readonly<Record<string, string | undefined>>, protocol: string): string | undefined {
	const name = protocol === 'https:' ? 'https_proxy' : 'http_proxy';
	const value = env[name] ?? env[name.toUpperCase()];
	if (value === undefined || value === '') return undefined;
	const proxy = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
	if (URL.canParse(proxy) && /^https?:/i.test(proxy)) return proxy;
	throw new BuildError('REGISTRY_UNREACHABLE', `the proxy in ${name.toUpperCase()} is not an http or https URL`, {
		hint: `Set ${name.toUpperCase()} to http://host:port, or unset it.`,
	});
}

async function certificates(caBundle: string | undefined): Promise<string[] | undefined> {
	if (caBundle === undefined) return undefined;
	try {
		return [...rootCertificates, await readFile(caBundle, 'utf8')];
	} catch (error) {
		throw new BuildError('USAGE', `cannot read the CA bundle ${caBundle}: ${errnoOf(error) ?? messageOf(error)}`, {
			hint: 'Give the path of a PEM file that can be read.',
			cause: error,
		});
	}
}

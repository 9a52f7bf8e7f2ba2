import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { type Http, openHttp } from '../../../src/http/http.js';

/** Has `server` listen on loopback until the test ends; resolves with `host:port`. */
export async function listen(server: Server): Promise<string> {
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export interface Seen {
	readonly host: string;
	/** `host` of its URL as text, and what it was asked. */
	readonly requests: { readonly line: string; readonly authorization: string | undefined; readonly body: string }[];
}

/** A server that answers with `listener` and remembers what it was asked; with `tls`, over https. */
export async function serve(
	listener: RequestListener,
	tls?: { readonly key: Buffer; readonly cert: Buffer },
): Promise<Seen> {
	const requests: { line: string; authorization: string | undefined; body: string }[] = [];
	const remember: RequestListener = (request, response) => {
		void buffer(request as IncomingMessage & Readable).then(
			(body) => {
				const { method = '', url = '', headers } = request;
				requests.push({ line: `${method} ${url}`, authorization: headers.authorization, body: body.toString() });
				listener(request, response);
			},
			() => undefined,
		);
	};
	const server = tls === undefined ? createServer(remember) : createTlsServer(tls, remember);
	return { host: await listen(server), requests };
}

/** What reads from the servers, until the test ends. */
export function open(env: Readonly<Record<string, string>> = {}, caBundle?: string): Http {
	const http = openHttp({ env, caBundle, userAgent: 's2oci/test' });
	onTestFinished(() => http.close());
	return http;
}

/** The whole of `url`. */
export async function text(http: Http, url: string, maxBytes = 1000): Promise<string> {
	const { body } = await http.get(url, { maxBytes }, AbortSignal.timeout(60_000));
	return (await buffer(body)).toString();
}

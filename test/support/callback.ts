import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

/** What a callback is sent. */
export interface CallbackBody {
	readonly success: boolean;
	readonly labels?: Readonly<Record<string, string>>;
	readonly payload?: string;
}

/** A server that answers with `status` until the test ends, its URL with secrets, and the bodies it was sent. */
export async function listenForCallback(
	status: number,
): Promise<{ readonly url: string; readonly bodies: CallbackBody[] }> {
	const bodies: CallbackBody[] = [];
	const server = createServer((request, response) => {
		void text(request).then((body) => {
			bodies.push(JSON.parse(body) as CallbackBody);
			response.writeHead(status).end();
		});
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return { url: `http://ada:s3cret@127.0.0.1:${(server.address() as AddressInfo).port}/hook?sig=s3cret`, bodies };
}

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A server that takes requests and never answers. */
export interface SilentServer {
	/** Address and port. */
	readonly host: string;
	/** The paths that it was asked for. */
	readonly paths: readonly string[];
}

/** Listens on the loopback interface until the test ends. */
export async function silentServer(): Promise<SilentServer> {
	const paths: string[] = [];
	const server = createServer((request) => void paths.push(request.url ?? ''));
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, paths };
}

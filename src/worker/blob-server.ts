import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Hands blobs to the worker, which has neither network code nor credentials, over a private socket. */
export interface BlobServer {
	/** Path of the socket; in the temporary directory, because a socket's path must be short. */
	readonly path: string;
	/** Why a blob could not be handed over: the worker only sees that it ended early. */
	readonly failure: () => unknown;
	readonly close: () => void;
}

const REQUEST_LIMIT = 256;
const MAX_SOCKET_PATH = 107;

/** Serves `open(digest)` to whoever can reach the private directory of the socket, that is to our own worker. */
export async function startBlobServer(
	open: (digest: string, signal: AbortSignal) => Promise<Readable>,
	signal: AbortSignal,
): Promise<BlobServer> {
	const directory = makeDirectory();
	const path = join(directory, 'blobs');
	const closing = new AbortController();
	const stop = AbortSignal.any([signal, closing.signal]);
	let failure: unknown;
	const server = createServer((socket) => {
		serve(socket, open, stop).catch((error: unknown) => {
			failure ??= error;
			socket.destroy();
		});
	});
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen(path, resolve);
	});
	return {
		path,
		failure: () => failure,
		close: () => {
			closing.abort();
			server.close();
			rmSync(directory, { recursive: true, force: true });
		},
	};
}

async function serve(
	socket: Socket,
	open: (digest: string, signal: AbortSignal) => Promise<Readable>,
	signal: AbortSignal,
): Promise<void> {
	socket.on('error', () => undefined);
	const blob = await open(await readLine(socket), signal);
	await pipeline(blob, socket, { signal });
}

function readLine(socket: Socket): Promise<string> {
	return new Promise((resolve, reject) => {
		let text = '';
		const onData = (chunk: Buffer) => {
			text += chunk.toString('latin1');
			if (text.length > REQUEST_LIMIT) reject(new Error('the request is too long'));
			if (!text.includes('\n')) return;
			socket.off('data', onData);
			resolve(text.slice(0, text.indexOf('\n')));
		};
		socket.on('data', onData);
		socket.once('close', () => reject(new Error('the worker hung up')));
	});
}

function makeDirectory(): string {
	const directory = mkdtempSync(join(tmpdir(), 's2oci-'));
	if (Buffer.byteLength(directory) + '/blobs'.length <= MAX_SOCKET_PATH) return directory;
	rmSync(directory, { recursive: true });
	return mkdtempSync('/tmp/s2oci-');
}

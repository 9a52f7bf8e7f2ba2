import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errnoOf } from '../errors.js';

/** Hands blobs to the worker, which has neither network code nor credentials, over a private socket. */
export interface BlobServer {
	/** Path of the socket: in the scratch directory, unless that is too long for a socket. */
	readonly path: string;
	/** Why a blob could not be handed over: the worker only sees that it ended early. Undefined when it was the worker who hung up. */
	readonly failure: () => unknown;
	readonly close: () => void;
}

const REQUEST_LIMIT = 256;
const MAX_SOCKET_PATH = 107;
const HUNG_UP: readonly (string | undefined)[] = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'];

/** Serves `open(digest)` to whoever can reach the socket in the private directory `scratch`, that is to our own worker. */
export async function startBlobServer(
	open: (digest: string, signal: AbortSignal) => Promise<Readable>,
	scratch: string,
	signal: AbortSignal,
): Promise<BlobServer> {
	const { path, remove } = placeSocket(scratch);
	const closing = new AbortController();
	const stop = AbortSignal.any([signal, closing.signal]);
	let failure: unknown;
	const server = createServer((socket) => {
		serve(socket, open, stop).catch((error: unknown) => {
			if (!HUNG_UP.includes(errnoOf(error))) failure ??= error;
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
			remove();
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
	if (socket.destroyed) {
		blob.destroy();
		return;
	}
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

interface Placed {
	readonly path: string;
	readonly remove: () => void;
}

/** In the scratch directory, so that the next build removes what a killed one leaves; its name may be too long for a socket. */
function placeSocket(scratch: string): Placed {
	const path = join(scratch, `blobs-${randomBytes(4).toString('hex')}`);
	if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return { path, remove: () => rmSync(path, { force: true }) };
	const directory = mkdtempSync('/tmp/s2oci-');
	return { path: join(directory, 'blobs'), remove: () => rmSync(directory, { recursive: true, force: true }) };
}

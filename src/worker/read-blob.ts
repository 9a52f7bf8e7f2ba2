import { closeSync, readSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { addAbortSignal } from 'node:stream';
import { BuildError, errnoOf } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import { algorithmOf, type Digest, finishDigest, hasherFor } from '../oci/digest.js';
import type { WantedLayer } from '../protocol/worker-calls.js';
import { rawPath } from '../root-path.js';

const CHUNK = 256 * 1024;
/** How long a thread that is to stop may sleep, in ms. */
const READ_TIMEOUT = 200;

/** Asks the reader to stop. */
export interface StopAsked {
	readonly signal: AbortSignal;
	/** Aborts `signal` if that was asked for while this thread did not get to its event loop. */
	readonly look: () => void;
}

/**
 * The bytes of `blob` from the blob server at `socketPath`, which fail with DIGEST_MISMATCH instead of ending when they are not the
 * ones that were asked for, and with the reason of `stop` once that is asked for. With `libc` it blocks, so it belongs in a thread of
 * its own. A chunk is valid until the next one is asked for.
 */
export async function* readBlob(
	{ digest, size }: WantedLayer['blob'],
	socketPath: string,
	libc: Libc | undefined,
	stop: StopAsked,
): AsyncGenerator<Buffer, void, undefined> {
	const hash = hasherFor(digest);
	let total = 0;
	const connection = { digest, socketPath, stop };
	for await (const chunk of libc === undefined ? receive(connection) : read(connection, libc)) {
		total += chunk.length;
		hash.update(chunk);
		if (total > size) break;
		yield chunk;
	}
	const found = finishDigest(hash, algorithmOf(digest));
	if (total !== size || found !== digest) throw mismatch('blob', digest, found);
}

interface Connection {
	readonly digest: Digest;
	readonly socketPath: string;
	readonly stop: StopAsked;
}

async function* receive({ digest, socketPath, stop }: Connection): AsyncGenerator<Buffer, void, undefined> {
	const socket = addAbortSignal(stop.signal, connect(socketPath));
	socket.write(`${digest}\n`);
	yield* socket as AsyncIterable<Buffer>;
}

/** Without streams, the event loop and new memory for each chunk. */
function* read({ digest, socketPath, stop }: Connection, libc: Libc): Generator<Buffer, void, undefined> {
	const buffer = Buffer.allocUnsafeSlow(CHUNK);
	const socket = libc.connect(rawPath(socketPath), READ_TIMEOUT);
	try {
		writeSync(socket, `${digest}\n`);
		const next = () => readSome(socket, buffer, stop);
		for (let size = next(); size > 0; size = next()) yield buffer.subarray(0, size);
	} finally {
		closeSync(socket);
	}
}

/** A DIGEST_MISMATCH error about `what` of a layer: its blob, or its content. */
export function mismatch(what: string, wanted: Digest, got: Digest): BuildError {
	return new BuildError('DIGEST_MISMATCH', `the ${what} of layer ${wanted} is damaged: its digest is ${got}`, {
		hint: 'The image is damaged in its registry, or was changed on the way. Push it again.',
	});
}

/** How many bytes came; 0 when there are no more. */
function readSome(socket: number, buffer: Buffer, { look, signal }: StopAsked): number {
	for (;;) {
		look();
		signal.throwIfAborted();
		try {
			return readSync(socket, buffer, 0, buffer.length, null);
		} catch (error) {
			const code = errnoOf(error);
			if (code === 'ECONNRESET') return 0;
			if (code !== 'EAGAIN' && code !== 'EINTR') throw error;
		}
	}
}

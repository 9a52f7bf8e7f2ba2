import { closeSync, readSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { BuildError, errnoOf } from '../errors.js';
import type { Libc } from '../linux/libc.js';
import { algorithmOf, type Digest, finishDigest, hasherFor } from '../oci/digest.js';
import { rawPath } from '../root-path.js';
import type { WantedLayer } from './protocol.js';

const CHUNK = 256 * 1024;
/** A thread that is to end does so when a read returns. */
const READ_TIMEOUT = 200;

/**
 * The bytes of `blob` from the blob server at `socketPath`, which fail with DIGEST_MISMATCH instead of ending when they are not the
 * ones that were asked for. With `libc` it blocks, so it belongs in a thread of its own. A chunk is valid until the next one is
 * asked for.
 */
export async function* readBlob(
	{ digest, size }: WantedLayer['blob'],
	socketPath: string,
	libc: Libc | undefined,
): AsyncGenerator<Buffer, void, undefined> {
	const hash = hasherFor(digest);
	let total = 0;
	for await (const chunk of libc === undefined ? receive(digest, socketPath) : read(digest, socketPath, libc)) {
		total += chunk.length;
		hash.update(chunk);
		if (total > size) break;
		yield chunk;
	}
	const found = finishDigest(hash, algorithmOf(digest));
	if (total !== size || found !== digest) throw mismatch('blob', digest, found);
}

async function* receive(digest: Digest, socketPath: string): AsyncGenerator<Buffer, void, undefined> {
	const socket = connect(socketPath);
	socket.write(`${digest}\n`);
	yield* socket as AsyncIterable<Buffer>;
}

/** Without streams, the event loop and new memory for each chunk. */
function* read(digest: Digest, socketPath: string, libc: Libc): Generator<Buffer, void, undefined> {
	const buffer = Buffer.allocUnsafeSlow(CHUNK);
	const socket = libc.connect(rawPath(socketPath), READ_TIMEOUT);
	try {
		writeSync(socket, `${digest}\n`);
		for (let size = readSome(socket, buffer); size > 0; size = readSome(socket, buffer)) yield buffer.subarray(0, size);
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
function readSome(socket: number, buffer: Buffer): number {
	for (;;) {
		try {
			return readSync(socket, buffer, 0, buffer.length, null);
		} catch (error) {
			const code = errnoOf(error);
			if (code === 'ECONNRESET') return 0;
			if (code !== 'EAGAIN' && code !== 'EINTR') throw error;
		}
	}
}

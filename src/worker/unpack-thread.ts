import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { BuildError } from '../errors.js';
import { loadLibc } from '../linux/libc.js';
import { algorithmOf, type Digest, finishDigest, hasherFor } from '../oci/digest.js';
import { rawPath } from '../root-path.js';
import { unpackRoot, writeUnpackedLayer } from '../rootfs/layer-store.js';
import type { IdLimits } from '../rootfs/owner.js';
import { unpackLayer } from '../rootfs/unpack.js';
import { decompress } from '../tar/decompress.js';
import type { WantedLayer } from './protocol.js';
import { toWire } from './wire-error.js';

/** What a thread is given: one layer to fetch, verify and unpack into `directory`. */
export interface UnpackTask {
	readonly layer: WantedLayer;
	readonly directory: string;
	readonly blobSocket: string;
	readonly ids: IdLimits;
}

const FLOOR = 8 * 2 ** 30;
const MAX_RATIO = 200;
const REPORT_EVERY = 4 * 2 ** 20;

async function unpackTask({ layer, directory, blobSocket, ids }: UnpackTask): Promise<readonly string[]> {
	const signal = new AbortController().signal;
	const root = unpackRoot(directory);
	mkdirSync(root, { recursive: true, mode: 0o755 });
	const blob = readBlob(layer, blobSocket);
	const tar = decompress(layer.compression, blob, join(directory, 'spool'), signal);
	const hash = createHash(algorithmOf(layer.diffId));
	const maxBytes = Math.max(FLOOR, layer.blob.size * MAX_RATIO);
	const options = { root: rawPath(root), ids, libc: await loadLibc(), maxBytes };
	const unpacked = await unpackLayer(hashed(tar, hash), options, signal);
	const diffId = finishDigest(hash, algorithmOf(layer.diffId));
	if (diffId !== layer.diffId) throw mismatch('content', layer.diffId, diffId);
	writeUnpackedLayer(directory, unpacked);
	return unpacked.lostXattrs;
}

/** The blob's bytes from the parent, which fail instead of ending when they are not the ones that were asked for. */
async function* readBlob({ blob }: WantedLayer, socketPath: string): AsyncGenerator<Buffer, void, undefined> {
	const socket = connect(socketPath);
	socket.write(`${blob.digest}\n`);
	const hash = hasherFor(blob.digest);
	let size = 0;
	for await (const chunk of socket as AsyncIterable<Buffer>) {
		size += chunk.length;
		if (size > blob.size) break;
		hash.update(chunk);
		yield chunk;
	}
	socket.destroy();
	const digest = finishDigest(hash, algorithmOf(blob.digest));
	if (size !== blob.size || digest !== blob.digest) throw mismatch('blob', blob.digest, digest);
}

async function* hashed(
	chunks: AsyncIterable<Buffer>,
	hash: ReturnType<typeof createHash>,
): AsyncGenerator<Buffer, void, undefined> {
	let bytes = 0;
	let reported = 0;
	for await (const chunk of chunks) {
		hash.update(chunk);
		bytes += chunk.length;
		if (bytes - reported > REPORT_EVERY) {
			reported = bytes;
			parentPort?.postMessage({ bytes });
		}
		yield chunk;
	}
	parentPort?.postMessage({ bytes });
}

function mismatch(what: string, wanted: Digest, got: Digest): BuildError {
	return new BuildError('DIGEST_MISMATCH', `the ${what} of layer ${wanted} is damaged: its digest is ${got}`, {
		hint: 'The image is damaged in its registry, or was changed on the way. Push it again.',
	});
}

parentPort?.on('message', (task: UnpackTask) => {
	unpackTask(task).then(
		(lostXattrs) => parentPort?.postMessage({ lostXattrs }),
		(error: unknown) => parentPort?.postMessage({ error: toWire(error) }),
	);
});

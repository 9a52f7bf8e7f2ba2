import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { loadInflater } from '../linux/inflate.js';
import { loadLibc } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { algorithmOf, finishDigest } from '../oci/digest.js';
import { toWire } from '../protocol/messages.js';
import type { WantedLayer } from '../protocol/worker-calls.js';
import { rawPath } from '../root-path.js';
import { openDigestDisk, writeLayerDigests } from '../rootfs/layer-digests.js';
import { unpackRoot, writeUnpackedLayer } from '../rootfs/layer-store.js';
import type { IdLimits } from '../rootfs/owner.js';
import { unpackLayer } from '../rootfs/unpack.js';
import { type Compression, decompress } from '../tar/decompress.js';
import { gunzip } from '../tar/gunzip.js';
import { mismatch, readBlob, type StopAsked } from './read-blob.js';

/** What a thread is given: one layer to fetch, verify and unpack into `directory`. */
export interface UnpackTask {
	readonly layer: WantedLayer;
	readonly directory: string;
	readonly blobSocket: string;
	readonly ids: IdLimits;
	readonly whiteouts: boolean;
	/** Keep the layer's index and the digests of its files only. */
	readonly indexOnly?: boolean | undefined;
}

/** What a thread is sent. It ends at `stop`, in the middle of a task too. */
export type ToThread = UnpackTask | 'stop';

const FLOOR = 8 * 2 ** 30;
const MAX_RATIO = 200;
const REPORT_EVERY = 4 * 2 ** 20;

async function unpackTask(task: UnpackTask, stop: StopAsked): Promise<readonly string[]> {
	const { layer, directory, blobSocket, ids, whiteouts, indexOnly = false } = task;
	const { signal } = stop;
	const root = unpackRoot(directory);
	makePath(root, 0o755);
	const libc = await loadLibc();
	const blob = readBlob(layer.blob, blobSocket, libc, stop);
	const tar = await uncompressed(layer.compression, blob, join(directory, 'spool'), signal);
	const hash = createHash(algorithmOf(layer.diffId));
	const maxBytes = Math.max(FLOOR, layer.blob.size * MAX_RATIO);
	const digesting = indexOnly ? openDigestDisk() : undefined;
	const disk = digesting === undefined ? {} : { disk: digesting.disk };
	const options = { root: rawPath(root), ids, libc, whiteouts, maxBytes, ...disk };
	const unpacked = await unpackLayer(hashed(tar, hash), options, signal);
	const diffId = finishDigest(hash, algorithmOf(layer.diffId));
	if (diffId !== layer.diffId) throw mismatch('content', layer.diffId, diffId);
	if (digesting !== undefined) writeLayerDigests(directory, digesting.digests);
	writeUnpackedLayer(directory, unpacked);
	return unpacked.lostXattrs;
}

async function uncompressed(
	compression: Compression,
	bytes: AsyncIterable<Buffer>,
	spool: string,
	signal: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
	const inflater = compression === 'gzip' ? await loadInflater() : undefined;
	if (inflater !== undefined) return gunzip(bytes, inflater, signal);
	return decompress(compression, copied(bytes), spool, signal);
}

/** For those who hold several chunks at once. */
async function* copied(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
	for await (const chunk of chunks) yield Buffer.from(chunk);
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

function serve(port: MessagePort): void {
	const stopping = new AbortController();
	const { signal } = stopping;
	const look = () => {
		if (receiveMessageOnPort(port)?.message === 'stop') stopping.abort();
	};
	const work = async (task: UnpackTask) => {
		try {
			port.postMessage({ lostXattrs: await unpackTask(task, { signal, look }) });
		} catch (error) {
			port.postMessage({ error: toWire(error, task.directory) });
		}
	};
	signal.addEventListener('abort', () => port.close());
	port.on('message', (message: ToThread) => {
		if (message === 'stop') stopping.abort();
		else void work(message);
	});
}

if (parentPort !== null) serve(parentPort);

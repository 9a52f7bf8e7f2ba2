import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { LayerStore } from '../rootfs/layer-store.js';
import type { IdLimits } from '../rootfs/owner.js';
import type { FromWorker, WantedLayer, WireError } from './protocol.js';
import type { UnpackTask } from './unpack-thread.js';
import { fromWire } from './wire-error.js';

export interface UnpackContext {
	readonly store: LayerStore;
	readonly scratch: string;
	readonly blobSocket: string;
	readonly ids: IdLimits;
	readonly send: (message: FromWorker) => void;
}

const MAX_THREADS = 4;

/** Fetches and unpacks the layers that the store lacks, the largest first, in as many threads as there are processors. */
export async function unpackLayers(
	layers: readonly WantedLayer[],
	context: UnpackContext,
	signal: AbortSignal,
): Promise<readonly string[]> {
	const missing = [...new Map(layers.map((layer) => [layer.diffId, layer])).values()]
		.filter((layer) => !context.store.has(layer.diffId))
		.sort((a, b) => b.blob.size - a.blob.size);
	const lostXattrs = new Set<string>();
	const failed = new AbortController();
	const stop = AbortSignal.any([signal, failed.signal]);
	const work = async () => {
		for (let layer = missing.shift(); layer !== undefined; layer = missing.shift()) {
			for (const name of await unpackOne(layer, context, stop)) lostXattrs.add(name);
		}
	};
	const threads = Array.from({ length: Math.min(MAX_THREADS, availableParallelism(), missing.length) }, work);
	try {
		await Promise.all(threads);
	} catch (error) {
		failed.abort();
		await Promise.allSettled(threads);
		throw error;
	}
	return [...lostXattrs];
}

async function unpackOne(layer: WantedLayer, context: UnpackContext, signal: AbortSignal): Promise<readonly string[]> {
	const { store, scratch, blobSocket, ids, send } = context;
	const directory = join(scratch, `layer-${layer.diffId.slice(-16)}`);
	rmSync(directory, { recursive: true, force: true });
	const task: UnpackTask = { layer, directory, blobSocket, ids };
	const report = (bytes: number, done: boolean) => send({ type: 'unpacked', diffId: layer.diffId, bytes, done });
	const lostXattrs = await runThread(task, (bytes) => report(bytes, false), signal);
	store.publish(layer.diffId, directory);
	report(layer.blob.size, true);
	return lostXattrs;
}

interface FromThread {
	readonly bytes?: number;
	readonly lostXattrs?: readonly string[];
	readonly error?: WireError;
}

function runThread(
	task: UnpackTask,
	progress: (bytes: number) => void,
	signal: AbortSignal,
): Promise<readonly string[]> {
	return new Promise((resolve, reject) => {
		const thread = new Worker(new URL('./unpack-thread.js', import.meta.url), { workerData: task });
		const abort = () => void thread.terminate();
		signal.addEventListener('abort', abort, { once: true });
		thread.on('message', ({ bytes, lostXattrs, error }: FromThread) => {
			if (bytes !== undefined) progress(bytes);
			if (lostXattrs !== undefined) resolve(lostXattrs);
			if (error !== undefined) reject(fromWire(error));
		});
		thread.on('error', reject);
		thread.on('exit', () => {
			signal.removeEventListener('abort', abort);
			reject(signal.aborted ? (signal.reason as Error) : new Error('an unpack thread ended without a word'));
		});
	});
}

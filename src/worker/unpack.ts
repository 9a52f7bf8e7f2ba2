import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { messageOf } from '../errors.js';
import type { FromWorker, WireError } from '../protocol/messages.js';
import { fromWire } from '../protocol/messages.js';
import type { WantedLayer } from '../protocol/worker-calls.js';
import { removeTree } from '../remove-tree.js';
import { rawPath } from '../root-path.js';
import type { LayerStore } from '../rootfs/layer-store.js';
import { keepHeapSmall } from '../small-heap.js';
import type { ToThread, UnpackTask } from './unpack-thread.js';

export interface UnpackContext extends Omit<UnpackTask, 'layer' | 'directory'> {
	readonly store: LayerStore;
	readonly scratch: string;
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
	if (missing.length > 0) keepHeapSmall();
	const lostXattrs = new Set<string>();
	const failed = new AbortController();
	const stop = AbortSignal.any([signal, failed.signal]);
	const work = async () => {
		const thread = openThread(stop);
		try {
			for (let layer = missing.shift(); layer !== undefined; layer = missing.shift()) {
				for (const name of await unpackOne(layer, context, thread)) lostXattrs.add(name);
			}
		} finally {
			await thread.close();
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

async function unpackOne(layer: WantedLayer, context: UnpackContext, thread: Thread): Promise<readonly string[]> {
	const { store, scratch, blobSocket, ids, whiteouts, indexOnly, send } = context;
	const directory = join(scratch, `layer-${layer.diffId.slice(-16)}`);
	removeTree(rawPath(directory));
	const report = (bytes: number) => send({ type: 'unpacked', diffId: layer.diffId, bytes });
	const lostXattrs = await thread.run({ layer, directory, blobSocket, ids, whiteouts, indexOnly }, report);
	store.publish(layer.diffId, directory);
	return lostXattrs;
}

interface FromThread {
	readonly bytes?: number;
	readonly lostXattrs?: readonly string[];
	readonly error?: WireError;
}

interface Thread {
	/** Does one task; the thread must be idle. */
	readonly run: (task: UnpackTask, progress: (bytes: number) => void) => Promise<readonly string[]>;
	/** Resolves when it has ended. */
	readonly close: () => Promise<void>;
}

interface Running {
	readonly progress: (bytes: number) => void;
	readonly resolve: (lostXattrs: readonly string[]) => void;
	readonly reject: (error: Error) => void;
}

/**
 * A thread that unpacks layers one after the other until it is closed or `signal` is aborted. It is asked to end, not terminated: a native
 * library whose call or start-up meets a terminated thread aborts the process.
 */
function openThread(signal: AbortSignal): Thread {
	const thread = new Worker(new URL('./unpack-thread.js', import.meta.url));
	let running: Running | undefined;
	let dead: Error | undefined;
	const die = (error: Error) => {
		dead ??= error;
		running?.reject(dead);
	};
	const send = (message: ToThread) => thread.postMessage(message);
	const stop = () => send('stop');
	signal.addEventListener('abort', stop, { once: true });
	thread.on('message', ({ bytes, lostXattrs, error }: FromThread) => {
		if (bytes !== undefined) running?.progress(bytes);
		if (lostXattrs !== undefined) running?.resolve(lostXattrs);
		if (error !== undefined) running?.reject(fromWire(error));
	});
	thread.on('error', (error: unknown) => die(error instanceof Error ? error : new Error(messageOf(error))));
	const ended = new Promise<void>((resolve) => {
		thread.on('exit', () => {
			die(signal.aborted ? (signal.reason as Error) : new Error('an unpack thread ended without a word'));
			resolve();
		});
	});
	return {
		run: (task, progress) =>
			new Promise((resolve, reject) => {
				running = { progress, resolve, reject };
				if (dead === undefined) send(task);
				else reject(dead);
			}),
		close: () => {
			signal.removeEventListener('abort', stop);
			stop();
			return ended;
		},
	};
}

import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type BlobServer, startBlobServer } from '../host/blob-server.js';
import { makeScratch } from '../host/make-scratch.js';
import { startWorker, type WorkerOptions, type WorkerProcess } from '../host/start-worker.js';
import type { Http } from '../http/http.js';
import { readLeastRate } from '../http/least-rate.js';
import { isDigest } from '../oci/digest.js';
import { redact } from '../redact.js';
import { removeTree } from '../remove-tree.js';
import { rawPath } from '../root-path.js';
import type { Emit } from './events.js';
import type { ImageAccess } from './images/open-image.js';
import { openNetwork } from './network.js';
import type { HostRequest } from './request.js';

/** How long the clean-up may take without a word. */
const SLOW_MS = 5000;

/** What one build or run holds: a scratch directory, the worker, and the way to registries. Disposing it leaves nothing behind. */
export interface Session extends AsyncDisposable {
	/** Private directory in the store. */
	readonly scratch: string;
	/** Resolves once the worker is ready; starting it takes as long as resolving the builder. */
	readonly worker: Promise<WorkerProcess>;
	readonly access: ImageAccess;
	/** For what is neither an image nor a git repository. */
	readonly http: Http;
	/** Begins to hand blobs to the worker. */
	readonly serveBlobs: (open: (digest: string, signal: AbortSignal) => Promise<Readable>) => Promise<BlobServer>;
}

/** Opens a session. With `keep`, its scratch directory is moved to `saved` in the store instead of removed. Everything started here ends when `signal` is aborted or the session is disposed. Throws USAGE for variables that make no sense. */
export async function openSession(
	request: HostRequest,
	options: Pick<WorkerOptions, 'streams' | 'onEvent' | 'inUse'> & {
		readonly emit: Emit;
		readonly keep?: boolean;
		/** When the worker may start, unless somebody needs it before; at once by default. */
		readonly mayStart?: Promise<unknown>;
	},
	signal: AbortSignal,
): Promise<Session> {
	readLeastRate(request.env);
	const scratch = await makeScratch(request.store);
	const { store, env, rootfs, userns, isolation } = request;
	const { streams, onEvent, inUse = [] } = options;
	const lastInPlace = isolation === 'auto';
	const workerOptions = { store, scratch, env, rootfs, userns, isolation, lastInPlace, inUse, streams, onEvent };
	const needed = Promise.withResolvers<undefined>();
	const stopped = rejectOnAbort(signal);
	const worker = Promise.race([options.mayStart, needed.promise, stopped]).then(() =>
		startWorker(workerOptions, signal),
	);
	worker.catch(() => undefined);
	const network = openNetwork(request, options.emit);
	const keepAs = options.keep === true ? join(store, 'saved', basename(scratch)) : undefined;
	const servers: BlobServer[] = [];
	return {
		scratch,
		worker,
		http: network.http,
		access: {
			registry: network.registries.open,
			engine: async (type) => (await import('../engine/engine.js')).openEngine(type, env),
			scratch: () => makeDirectory(scratch),
			present: async (diffIds) => {
				needed.resolve(undefined);
				const digests = diffIds.filter(isDigest);
				return new Set<string>((await (await worker).call('present', { diffIds: digests })).present);
			},
		},
		serveBlobs: async (open) => {
			const server = await startBlobServer(open, scratch, signal);
			servers.push(server);
			return server;
		},
		[Symbol.asyncDispose]: async () => {
			const closed = worker.then(
				(started) => started.close(keepAs),
				() => 'closed' as const,
			);
			const how = await reportSlow(closed, store, options.emit);
			if (keepAs !== undefined)
				options.emit({ type: 'log', level: 0, message: `the working directory is kept as ${keepAs}` });
			for (const server of servers) server.close();
			await network[Symbol.asyncDispose]();
			if (how === 'closed') await removeLeft(scratch);
		},
	};
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
	return new Promise((_resolve, reject) => {
		const stop = () => reject(signal.reason as Error);
		if (signal.aborted) stop();
		else signal.addEventListener('abort', stop, { once: true });
	});
}

/** Turns what the worker tells without being asked into events. */
export function reportWorker(emit: Emit): WorkerOptions['onEvent'] {
	let packed = 0;
	return (event) => {
		if (event.type === 'packed') {
			packed += event.bytes;
			emit({ type: 'progress', transfer: 'pack', done: packed });
		} else if (event.type === 'notice') {
			emit({ type: 'warning', code: 'IN_PLACE', message: event.message });
		} else {
			emit({ type: 'progress', transfer: 'unpack', digest: event.diffId, done: event.bytes });
		}
	};
}

async function reportSlow<T>(closed: Promise<T>, store: string, emit: Emit): Promise<T> {
	const message = `still removing what the build made in ${redact(store)}; if stopped, the next build does it`;
	const timer = setTimeout(() => emit({ type: 'log', level: 0, message }), SLOW_MS);
	try {
		return await closed;
	} finally {
		clearTimeout(timer);
	}
}

async function makeDirectory(parent: string): Promise<string> {
	const path = join(parent, randomBytes(6).toString('hex'));
	await mkdir(path, { mode: 0o700 });
	return path;
}

async function removeLeft(scratch: string): Promise<void> {
	try {
		removeTree(rawPath(scratch));
		await rm(`${scratch}.lock`, { force: true });
	} catch {
		// The lock tells the next worker that nobody uses what is left.
	}
}

import { Worker } from 'node:worker_threads';

/** What the thread is given that watches the parent. */
export interface Watched {
	/** A socket whose other end only the parent holds. */
	readonly fd: number;
	/** One number that shared memory holds: not 0 once the clean-up began. */
	readonly cleaning: Int32Array<SharedArrayBuffer>;
}

/** Ends this process, and what descends from it, when its parent died and it is too busy to notice: for one without a pid namespace. */
export interface ParentWatch {
	/** Begins to watch, in a thread. */
	readonly start: () => void;
	/** The parent is gone and this process is cleaning up, which may take some seconds. */
	readonly clean: () => void;
}

/** `fd` is a socket whose other end only the parent holds. */
export function createParentWatch(fd: number): ParentWatch {
	const cleaning = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
	return {
		start: () => {
			const workerData: Watched = { fd, cleaning };
			const thread = new Worker(new URL('./parent-thread.js', import.meta.url), { workerData });
			// A machine that gives no thread leaves us with the channel, which tells the same to a worker that is not busy.
			thread.on('error', () => undefined);
			thread.unref();
		},
		clean: () => void Atomics.store(cleaning, 0, 1),
	};
}

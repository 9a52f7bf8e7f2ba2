import { setTimeout as delay } from 'node:timers/promises';
import { isBuildError } from '../errors.js';
import type { WorkerProcess } from '../host/start-worker.js';

const GIVE_UP_MS = 30_000;
/** How long it may take to hear that a worker has ended, or that it has not. */
const ASK_MS = 1000;

/**
 * `work`, unless `signal` is aborted by a fault, that is with something that is no BuildError: then its reason, at the latest after 30 s.
 * What waits for a callback that has thrown waits for ever.
 */
export async function untilFault<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
	const { promise, reject } = Promise.withResolvers<never>();
	let limit: NodeJS.Timeout | undefined;
	const begin = () => {
		if (isFault(signal)) limit = setTimeout(() => reject(signal.reason as Error), GIVE_UP_MS);
	};
	signal.addEventListener('abort', begin, { once: true });
	try {
		const value = await Promise.race([work, promise]);
		if (isFault(signal)) throw signal.reason;
		return value;
	} finally {
		clearTimeout(limit);
		signal.removeEventListener('abort', begin);
	}
}

function isFault({ aborted, reason }: AbortSignal): boolean {
	return aborted && !isBuildError(reason);
}

/**
 * `error`, or HOST_WORKER when it is no BuildError and `worker` has ended: the next build then takes the scratch directory for abandoned, and
 * what we miss in it is no fault of ours. To be asked before anything is aborted.
 */
export async function orEndOfWorker(
	error: unknown,
	worker: Promise<WorkerProcess>,
	signal: AbortSignal,
): Promise<unknown> {
	if (isBuildError(error) || signal.aborted) return error;
	const answered = new AbortController();
	const answer = worker.then(({ call }) => call('present', { diffIds: [] }));
	const asked = answer.then(() => error).catch((end: unknown) => (isBuildError(end, 'HOST_WORKER') ? end : error));
	// A worker that was never started does not answer, and nothing else may keep this process.
	const late = delay(ASK_MS, error, { signal: answered.signal }).catch(() => error);
	const reason = await Promise.race([asked, late]);
	answered.abort();
	return reason;
}

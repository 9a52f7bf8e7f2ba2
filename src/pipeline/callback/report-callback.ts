import { afterAbort } from '../../host/end-worker.js';
import type { Emit } from '../events.js';
import { type NetworkRequest, openNetwork } from '../network.js';
import { createRecord } from '../record.js';
import type { BuildRequest } from '../request.js';
import type { BuildOutcome } from '../result.js';
import { sendCallback } from './post-callback.js';

/** The part of a request that a listener needs. */
export interface Listening {
	readonly host: NetworkRequest;
	readonly output: Pick<BuildRequest['output'], 'callback'>;
}

/** Whoever waits for the end of a build somewhere else. */
export interface Listener {
	/** Passes events on, and remembers what scripts print last. */
	readonly emit: Emit;
	/**
	 * Tells the callback, if there is one, of `outcome`, and resolves with it; of an interrupted build, too, but then only for a quarter
	 * of a second, since somebody waits. Never rejects.
	 */
	readonly tell: (outcome: BuildOutcome, labels: Readonly<Record<string, string>>) => Promise<BuildOutcome>;
}

const TAIL_BYTES = 64 * 1024;
/** How long the callback may take once `signal` was aborted. */
const STOPPED_MS = 250;

/** A listener for the build that `request` asks for, which `signal` stops. */
export function listenFor({ host, output }: Listening, emit: Emit, signal: AbortSignal): Listener {
	const { callback } = output;
	if (callback === undefined) return { emit, tell: (outcome) => Promise.resolve(outcome) };
	let tail = '';
	return {
		emit: (event) => {
			if (event.type === 'output') tail = (tail + Buffer.from(event.chunk).toString('utf8')).slice(-TAIL_BYTES);
			emit(event);
		},
		tell: async (outcome, labels) => {
			const { success, error } = outcome.result;
			const messages = [tail.trimEnd(), error?.message ?? ''].filter((message) => message !== '');
			await using network = openNetwork(host, emit);
			const [late, over] = [new AbortController(), new AbortController()];
			void afterAbort(signal, STOPPED_MS, over.signal).then(() => late.abort(new Error('it did not answer in time')));
			await sendCallback(callback, { success, labels, messages }, network.http, emit, late.signal);
			over.abort();
			return outcome;
		},
	};
}

/** Tells the callback of `request`, if there is one, that it failed before it began. Never rejects. */
export async function tellFailure(request: Listening, error: unknown): Promise<void> {
	const emit: Emit = () => undefined;
	await listenFor(request, emit, new AbortController().signal).tell(createRecord(emit).failed(error), {});
}

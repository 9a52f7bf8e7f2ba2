import { openHttp } from '../http/http.js';
import { VERSION } from '../version.js';
import { sendCallback } from './callback.js';
import type { Emit } from './events.js';
import type { BuildRequest } from './request.js';
import type { BuildOutcome } from './result.js';

/** Whoever waits for the end of a build somewhere else. */
export interface Listener {
	/** Passes events on, and remembers what scripts print last. */
	readonly emit: Emit;
	/** Tells the callback, if there is one, of `outcome`, and resolves with it; of an interrupted build, too. Never rejects. */
	readonly tell: (outcome: BuildOutcome, labels: Readonly<Record<string, string>>) => Promise<BuildOutcome>;
}

const TAIL_BYTES = 64 * 1024;

/** A listener for the build that `request` asks for. */
export function listenFor({ callback, env, caBundle }: BuildRequest, emit: Emit): Listener {
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
			const http = openHttp({ env, caBundle, userAgent: `s2oci/${VERSION}` });
			await sendCallback(callback, { success, labels, messages }, http, emit, new AbortController().signal);
			await http.close();
			return outcome;
		},
	};
}

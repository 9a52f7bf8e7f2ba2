import { messageOf } from '../../errors.js';
import { afterAbort } from '../../host/end-worker.js';
import type { Http } from '../../http/http.js';
import { redact, redactUrl } from '../../redact.js';
import type { Emit } from '../events.js';
import { type NetworkRequest, openNetwork } from '../network.js';
import { createRecord } from '../record.js';
import type { BuildRequest, Callback } from '../request.js';
import type { BuildOutcome } from '../result.js';

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

const TRIES = 3;
const TRY_TIMEOUT = 10_000;
const TIMEOUT = 30_000;

/**
 * Tells `callback` how the build ended: a POST, tried three times for 10 s each and for 30 s in all. Never rejects: what goes wrong is
 * a warning that names no more of the URL than its host, because the paths of web hooks are secrets too.
 */
export async function sendCallback(
	callback: Callback,
	outcome: CallbackOutcome,
	http: Pick<Http, 'post'>,
	emit: Emit,
	signal: AbortSignal,
): Promise<void> {
	const shown = showUrl(callback.url);
	const warn = (problem: string) => emit({ type: 'warning', code: 'CALLBACK', message: `the callback to ${problem}` });
	const options = { contentType: 'application/json', tries: TRIES, timeoutMs: TRY_TIMEOUT };
	const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
	try {
		const status = await http.post(callback.url, callbackBody(callback.format, outcome), options, limit);
		if (status < 300) emit({ type: 'log', level: 1, message: `callback sent to ${shown}` });
		else warn(`${shown} was answered with status ${status}${status < 400 ? '; redirects are not followed' : ''}`);
	} catch (error) {
		warn(`${shown} failed: ${hidePath(messageOf(error), callback.url, shown)}`);
	}
}

function showUrl(text: string): string {
	return URL.canParse(text) ? `${new URL(text).protocol}//${new URL(text).host}` : 'a URL that cannot be parsed';
}

function hidePath(message: string, url: string, shown: string): string {
	const known = URL.canParse(url) ? message.replaceAll(redactUrl(new URL(url)), shown) : message;
	return redact(known);
}

/** How a build ended, for whom it concerns. `messages` is the end of what was printed, or the error. */
interface CallbackOutcome {
	readonly success: boolean;
	/** Of the built image; empty when there is none. */
	readonly labels: Readonly<Record<string, string>>;
	readonly messages: readonly string[];
}

const MAX_PAYLOAD = 64 * 1024;

/**
 * The JSON that a callback gets: `{success, labels}`, without labels when there are none, or, as `sti` of 2014 had it,
 * `{payload, success}`, where the payload is the last 64 KiB of the messages, redacted.
 */
export function callbackBody(format: 's2i' | 'sti', { success, labels, messages }: CallbackOutcome): string {
	if (format === 'sti') return JSON.stringify({ payload: redact(messages.join('\n')).slice(-MAX_PAYLOAD), success });
	return JSON.stringify({ success, ...(Object.keys(labels).length > 0 && { labels }) });
}

import type { OpenContent } from '../content/blob.js';
import { BuildError, messageOf } from '../errors.js';
import { discard } from '../http/client.js';
import type { Descriptor } from '../oci/descriptor.js';
import { formatRepository } from '../oci/reference.js';
import { redact } from '../redact.js';
import type { Remote } from './remote.js';
import { responseError } from './response-error.js';
import { isTransient, waitToRetry } from './retry.js';
import { type Sent, sendBlob } from './send-blob.js';
import { firstManner, type Habits, learn, type Manner, nextStep } from './upload-plan.js';
import { cancelSession, startSession, type UploadSession } from './upload-session.js';

/** What else an upload needs to know. */
export interface UploadOptions {
	/** A session that a refused mount left. */
	readonly opened: UploadSession | undefined;
	readonly habits: Habits;
	/** Told what the upload has taught of the registry. */
	readonly learned: (habits: Habits) => void;
	/** Whether the registry has the blob now. */
	readonly has: () => Promise<boolean>;
}

/** How often the same manner is tried again. */
const REPEATS = 2;

/**
 * Uploads `content` as `blob`: one POST and one PUT, or as the registry asks for it ({@link nextStep}), which is told to `learned`. A session that fails is begun again with fresh content, and the failed one is cancelled. Throws what the registry says.
 */
export async function uploadBlob(
	remote: Remote,
	blob: Descriptor,
	content: OpenContent,
	{ opened, habits, learned, has }: UploadOptions,
	signal: AbortSignal,
): Promise<void> {
	const what = `pushing ${blob.digest} to ${formatRepository(remote.name)}`;
	const first = firstManner(habits, blob.size);
	const refusals: Refusal[] = [];
	let [manner, session, repeats] = [first, opened, 0];
	for (;;) {
		const outcome = await tryOnce(remote, blob, content, { session, manner, has }, signal);
		if (outcome === 'done') {
			learned(learn(habits, first, manner, blob.size));
			return;
		}
		session = undefined;
		refusals.push(outcome);
		const next = outcome.next === 'again' && repeats >= REPEATS ? lastResort(manner, outcome) : outcome.next;
		if (next === 'fail') throw tellingOf(refusals);
		if (next !== 'again') manner = next;
		else await waitToRetry({ what, attempt: ++repeats, reason: reasonOf(outcome) }, undefined, remote.retry, signal);
	}
}

interface Refusal {
	readonly status: number | undefined;
	readonly error: unknown;
	readonly next: 'again' | 'fail' | Manner;
}

interface Attempt extends Pick<UploadOptions, 'has'> {
	readonly session: UploadSession | undefined;
	readonly manner: Manner;
}

async function tryOnce(
	remote: Remote,
	blob: Descriptor,
	content: OpenContent,
	{ session, manner, has }: Attempt,
	signal: AbortSignal,
): Promise<'done' | Refusal> {
	let open: URL | undefined = session?.url;
	try {
		const start = session ?? (await startSession(remote, signal));
		open = start.url;
		const sent = await sendBlob(remote, blob, content, start, manner, signal);
		open = sent.session;
		const step = nextStep(manner, sent.response.status, blob.size);
		if (step === 'done' || (step === 'check' && (await has()))) return finish(sent);
		const error = await responseError(sent.response, `pushing ${blob.digest} to ${formatRepository(remote.name)}`);
		if (sent.response.status !== 404) await cancelSession(remote, open);
		return { status: sent.response.status, error, next: step === 'check' ? nextStepUnkept(manner) : step };
	} catch (error) {
		if (open !== undefined) await cancelSession(remote, open);
		signal.throwIfAborted();
		if (!isTransient(error)) throw error;
		return { status: undefined, error, next: 'again' };
	}
}

/** Proxies that choke on a body at once answer 502 or nothing at all. */
function lastResort(manner: Manner, { status }: Refusal): Manner | 'fail' {
	return manner.put === 'full' && status !== 429 ? { ...manner, put: 'empty' } : 'fail';
}

function finish({ response }: Sent): 'done' {
	discard(response);
	return 'done';
}

/** A PUT that was said to be well, and after which the blob is not there. */
function nextStepUnkept(manner: Manner): Manner | 'fail' {
	return manner.put === 'full' ? { ...manner, put: 'empty' } : 'fail';
}

/** The refusal that says most: of what a registry does not know at all, its first one. */
function tellingOf(refusals: readonly Refusal[]): unknown {
	const last = refusals.at(-1);
	const first = refusals.find(({ status }) => status !== undefined) ?? last;
	const isUnknown = last?.status === 405 || last?.status === 501 || last?.status === 404;
	return (isUnknown ? first : last)?.error ?? new BuildError('REGISTRY_REFUSED', 'the upload was refused');
}

function reasonOf({ status, error }: Refusal): string {
	return status === undefined ? redact(messageOf(error)) : `HTTP ${status}`;
}

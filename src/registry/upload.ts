import { BuildError, messageOf } from '../errors.js';
import { discard } from '../http/client.js';
import { formatRepository } from '../oci/reference.js';
import { redact } from '../redact.js';
import { hasBlob } from './has-blob.js';
import { responseError } from './response-error.js';
import { isTransient, waitToRetry } from './retry.js';
import { sendBlob, type Upload } from './send-blob.js';
import { firstManner, type Habits, learn, type Manner, nextStep, UNKNOWN_HABITS } from './upload-plan.js';
import { cancelSession, startSession, type UploadSession } from './upload-session.js';

/** How often the same manner is tried again. */
const REPEATS = 2;

/**
 * Uploads a blob: one POST and one PUT, or as the registry asks for it ({@link nextStep}), which is learned in `habits`, by registry. A session
 * that fails, or `opened`, which a refused mount left, is begun again with fresh content, and the failed one is cancelled. Throws what
 * the registry says.
 */
export async function uploadBlob(
	upload: Upload,
	opened: UploadSession | undefined,
	habits: Map<string, Habits>,
	signal: AbortSignal,
): Promise<void> {
	const { remote, blob } = upload;
	const { registry } = remote.name;
	const what = whatOf(upload);
	const known = habits.get(registry) ?? UNKNOWN_HABITS;
	const first = firstManner(known, blob.size);
	const refusals: Refusal[] = [];
	let [manner, session, repeats] = [first, opened, 0];
	for (;;) {
		const outcome = await tryOnce(upload, session, manner, signal);
		if (outcome === 'done') {
			habits.set(registry, learn(known, first, manner, blob.size));
			return;
		}
		session = undefined;
		refusals.push(outcome);
		const next = outcome.next === 'again' && repeats >= REPEATS ? lastResort(manner, outcome.status) : outcome.next;
		if (next === 'fail') throw tellingOf(refusals);
		if (next !== 'again') manner = next;
		else await waitToRetry({ what, attempt: ++repeats, reason: reasonOf(outcome) }, undefined, remote.retry, signal);
	}
}

function whatOf({ remote, blob }: Upload): string {
	return `pushing ${blob.digest} to ${formatRepository(remote.name)}`;
}

interface Refusal {
	readonly status: number | undefined;
	readonly error: unknown;
	readonly next: 'again' | 'fail' | Manner;
}

async function tryOnce(
	upload: Upload,
	session: UploadSession | undefined,
	manner: Manner,
	signal: AbortSignal,
): Promise<'done' | Refusal> {
	const { remote, blob } = upload;
	let open: URL | undefined = session?.url;
	try {
		const start = session ?? (await startSession(remote, signal));
		open = start.url;
		const sent = await sendBlob(upload, start, manner, signal);
		open = sent.session;
		const step = nextStep(manner, sent.response.status, blob.size);
		if (step === 'done' || (step === 'check' && (await hasBlob(remote, blob, signal)))) {
			discard(sent.response);
			return 'done';
		}
		const { status } = sent.response;
		const error = await responseError(sent.response, whatOf(upload));
		if (status !== 404) await cancelSession(remote, open);
		return { status, error, next: step === 'check' ? lastResort(manner, status) : step };
	} catch (error) {
		if (open !== undefined) await cancelSession(remote, open);
		signal.throwIfAborted();
		if (!isTransient(error)) throw error;
		return { status: undefined, error, next: 'again' };
	}
}

/** Proxies that choke on a body at once answer 502 or nothing at all, or that all is well, and then the blob is not there. */
function lastResort(manner: Manner, status: number | undefined): Manner | 'fail' {
	return manner.put === 'full' && status !== 429 ? { ...manner, put: 'empty' } : 'fail';
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

import type { Readable } from 'node:stream';
import type { OpenContent } from '../content/blob.js';
import { BuildError, messageOf } from '../errors.js';
import { bodyOf, discard, type HttpResponse } from '../http/client.js';
import type { Descriptor } from '../oci/descriptor.js';
import { formatRepository } from '../oci/reference.js';
import { redact } from '../redact.js';
import { hasBlob } from './has-blob.js';
import { responseError } from './response-error.js';
import { isTransient, waitToRetry } from './retry.js';
import type { RemoteRepository } from './transport.js';
import { firstManner, type Habits, learn, type Manner, nextStep, UNKNOWN_HABITS } from './upload-plan.js';
import { cancelSession, sessionOf, sessionRequest, startSession, type UploadSession } from './upload-session.js';

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

/** What is uploaded, and where to. */
interface Upload {
	readonly remote: RemoteRepository;
	readonly blob: Descriptor;
	readonly content: OpenContent;
}

/** The answer that ended an upload, and where its session was then. */
interface Sent {
	readonly response: HttpResponse;
	readonly session: URL;
}

const MAX_CHUNK_BYTES = 128 * 1024 * 1024;

/** Sends the content of `upload` within `session`, in `manner`; resolves with the answer to the PUT, or with the first one that is no 2xx. */
async function sendBlob(upload: Upload, session: UploadSession, manner: Manner, signal: AbortSignal): Promise<Sent> {
	if (manner.chunk !== Number.POSITIVE_INFINITY) return sendChunks(upload, session, manner, signal);
	const { remote, blob, content } = upload;
	const body = { size: blob.size, open: content };
	if (manner.put === 'empty') {
		const response = await remote.send(sessionRequest(remote, 'PATCH', session.url, body), signal);
		if (!isSuccess(response)) return { response, session: session.url };
		discard(response);
		return close(upload, sessionOf(response)?.url ?? session.url, signal);
	}
	const response = await remote.send(sessionRequest(remote, 'PUT', withDigest(session.url, blob), body), signal);
	return { response, session: session.url };
}

// Where the PUT is not to be empty, the last chunk rides on it: Amazon ECR refuses a PUT without content after chunks.
async function sendChunks(upload: Upload, start: UploadSession, manner: Manner, signal: AbortSignal): Promise<Sent> {
	const { remote, blob, content } = upload;
	const size = Math.min(Math.max(manner.chunk, start.minimum), MAX_CHUNK_BYTES);
	const stream = await content(signal);
	let session = start.url;
	let offset = 0;
	try {
		for await (const chunk of chunksOf(stream, size)) {
			const body = bodyOf(chunk);
			const range = { 'content-range': `${offset}-${offset + chunk.length - 1}` };
			const isClosing = manner.put === 'full' && offset + chunk.length >= blob.size;
			const request = isClosing
				? sessionRequest(remote, 'PUT', withDigest(session, blob), body, range)
				: sessionRequest(remote, 'PATCH', session, body, range);
			const response = await remote.send(request, signal);
			if (isClosing || !isSuccess(response)) return { response, session };
			discard(response);
			session = sessionOf(response)?.url ?? session;
			offset += chunk.length;
		}
	} finally {
		stream.destroy();
	}
	if (manner.put === 'empty' && offset >= blob.size) return close(upload, session, signal);
	throw new BuildError('DIGEST_MISMATCH', `the content of ${blob.digest} ended after ${offset} of ${blob.size} bytes`, {
		hint: 'The content changed while it was pushed; build again.',
	});
}

async function close({ remote, blob }: Upload, session: URL, signal: AbortSignal): Promise<Sent> {
	const response = await remote.send(sessionRequest(remote, 'PUT', withDigest(session, blob), undefined), signal);
	return { response, session };
}

async function* chunksOf(stream: Readable, size: number): AsyncGenerator<Buffer, void, undefined> {
	let pending: Uint8Array[] = [];
	let length = 0;
	for await (const piece of stream as AsyncIterable<Uint8Array>) {
		let rest = piece;
		while (length + rest.length >= size) {
			pending.push(rest.subarray(0, size - length));
			rest = rest.subarray(size - length);
			yield Buffer.concat(pending);
			pending = [];
			length = 0;
		}
		pending.push(rest);
		length += rest.length;
	}
	if (length > 0) yield Buffer.concat(pending);
}

// Appended as text: parsing and writing the query again could change state that the registry has signed.
function withDigest(session: URL, blob: Descriptor): URL {
	const url = new URL(session);
	url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(blob.digest)}`;
	return url;
}

function isSuccess({ status }: HttpResponse): boolean {
	return status >= 200 && status < 300;
}

import type { Readable } from 'node:stream';
import type { OpenContent } from '../content/blob.js';
import { BuildError } from '../errors.js';
import { bodyOf, discard, type HttpResponse } from '../http/client.js';
import type { Descriptor } from '../oci/descriptor.js';
import type { RemoteRepository } from './remote-repository.js';
import type { Manner } from './upload-plan.js';
import { sessionOf, sessionRequest, type UploadSession } from './upload-session.js';

/** What is uploaded, and where to. */
export interface Upload {
	readonly remote: RemoteRepository;
	readonly blob: Descriptor;
	readonly content: OpenContent;
}

/** The answer that ended an upload, and where its session was then. */
export interface Sent {
	readonly response: HttpResponse;
	readonly session: URL;
}

const MAX_CHUNK_BYTES = 128 * 1024 * 1024;

/** Sends the content of `upload` within `session`, in `manner`; resolves with the answer to the PUT, or with the first one that is no 2xx. */
export async function sendBlob(
	upload: Upload,
	session: UploadSession,
	manner: Manner,
	signal: AbortSignal,
): Promise<Sent> {
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

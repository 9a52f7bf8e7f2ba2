import { Readable } from 'node:stream';
import { verifyChunks } from '../content/verify.js';
import { BuildError, messageOf } from '../errors.js';
import { discard, type HttpResponse } from '../http/client.js';
import { failureCode, requestFailed } from '../http/failure.js';
import { TOO_SLOW } from '../http/least-rate.js';
import type { Descriptor } from '../oci/descriptor.js';
import { formatRepository } from '../oci/reference.js';
import { redact } from '../redact.js';
import { responseError } from './response-error.js';
import { waitToRetry } from './retry.js';
import { ATTEMPTS, REGISTRY, type RemoteRepository, requestTo } from './transport.js';

/** How often a download that was too slow is tried: another server may be behind the same name. */
const SLOW_ATTEMPTS = 2;
/** Less than so many bytes are no progress after which the attempts count anew. */
const PROGRESS = 64 * 1024;

/**
 * The verified bytes of `blob` of a repository. When the connection breaks, the rest is requested with a Range; a registry that ignores it sends all
 * again, of which the known part is skipped. Rejects when the first response is not the blob.
 */
export async function openDownload(remote: RemoteRepository, blob: Descriptor, signal: AbortSignal): Promise<Readable> {
	const stop = new AbortController();
	const either = AbortSignal.any([signal, stop.signal]);
	const first = await requestFrom(remote, blob, 0, either);
	const chunks = verifyChunks(resumingChunks(remote, blob, first, either), blob, whatOf(remote, blob));
	const stream = Readable.from(chunks, { objectMode: false });
	stream.once('close', () => stop.abort());
	return stream;
}

async function* resumingChunks(
	remote: RemoteRepository,
	blob: Descriptor,
	first: HttpResponse,
	signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
	const what = whatOf(remote, blob);
	let response = first;
	let offset = 0;
	for (let attempt = 1; ; attempt += 1) {
		const resumedAt = offset;
		try {
			for await (const chunk of contentFrom(response, offset)) {
				offset += chunk.length;
				yield chunk;
			}
			if (offset >= blob.size) return;
			throw new Error(`the connection ended after ${offset} of ${blob.size} bytes`);
		} catch (error) {
			signal.throwIfAborted();
			if (offset >= blob.size) return;
			if (offset - resumedAt >= PROGRESS) attempt = 1;
			const attempts = failureCode(error) === TOO_SLOW ? SLOW_ATTEMPTS : ATTEMPTS;
			if (attempt >= attempts) throw requestFailed(what, error, REGISTRY);
			await waitToRetry({ what, attempt, reason: redact(messageOf(error)) }, undefined, remote.retry, signal);
		}
		response = await requestFrom(remote, blob, response.decoded === true ? 0 : offset, signal);
	}
}

async function requestFrom(
	remote: RemoteRepository,
	blob: Descriptor,
	offset: number,
	signal: AbortSignal,
): Promise<HttpResponse> {
	const what = whatOf(remote, blob);
	const request = requestTo(remote, 'GET', `blobs/${blob.digest}`, 'pull');
	const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
	const response = await remote.send({ ...request, awaited: blob.size - offset, headers }, signal);
	if (response.status !== 200 && !(response.status === 206 && offset > 0)) throw await responseError(response, what);
	const expected = response.status === 206 ? blob.size - offset : blob.size;
	const declared = response.headers['content-length'];
	if (startsAt(response, offset) && (declared === undefined || Number(declared) === expected)) return response;
	discard(response);
	throw new BuildError('DIGEST_MISMATCH', `${what} failed: got ${declared ?? 'other'} bytes instead of ${expected}`, {
		hint: 'The registry or a proxy delivers other content than the manifest names; push the image again.',
	});
}

function whatOf({ name }: RemoteRepository, { digest }: Descriptor): string {
	return `pulling ${digest} from ${formatRepository(name)}`;
}

function startsAt(response: HttpResponse, offset: number): boolean {
	if (response.status !== 206) return true;
	const start = /^bytes ([0-9]+)-/.exec(response.headers['content-range'] ?? '')?.[1];
	return start === undefined || Number(start) === offset;
}

async function* contentFrom(response: HttpResponse, offset: number): AsyncGenerator<Uint8Array, void, undefined> {
	let skip = response.status === 206 ? 0 : offset;
	for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
		const rest = chunk.subarray(Math.min(skip, chunk.length));
		skip -= chunk.length - rest.length;
		if (rest.length > 0) yield rest;
	}
}

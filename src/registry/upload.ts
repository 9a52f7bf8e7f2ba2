import { Readable } from 'node:stream';
import type { OpenContent } from '../content/blob.js';
import { BuildError, isBuildError, messageOf } from '../errors.js';
import type { Descriptor } from '../oci/descriptor.js';
import { formatRepository, type RepositoryName } from '../oci/reference.js';
import { redact } from '../redact.js';
import { resolveHop } from './hosts.js';
import { responseError } from './response-error.js';
import { isRetryableStatus, type RetryOptions, waitToRetry } from './retry.js';
import { type Access, discard, type HttpRequest, type HttpResponse, type Transport } from './transport.js';
import { isTransient } from './unreachable.js';

/** The registry side of uploads to one repository. */
export interface UploadTarget {
	readonly name: RepositoryName;
	/** Base URL of the registry's API. */
	readonly endpoint: URL;
	readonly send: Transport;
	readonly retry: RetryOptions;
}

const SESSIONS = 3;
// GitHub refuses bodies of 4 MiB and more.
const CHUNK_BYTES = 4 * 1024 * 1024 - 1;
const MAX_CHUNK_BYTES = 128 * 1024 * 1024;

/**
 * Asks the registry to share `blob` of `from` (distribution-spec v1.1 "mounting"). True when it does; else the upload session it may
 * have opened, or undefined when it refused, as Harbor and GitLab do with 401, 403, 404 or 405.
 */
export async function mountBlob(
	target: UploadTarget,
	blob: Descriptor,
	from: RepositoryName,
	signal: AbortSignal,
): Promise<true | URL | undefined> {
	const url = uploadsUrl(target);
	url.search = `?mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(from.path)}`;
	const access: Access = { repository: target.name, actions: 'pull,push', from };
	const what = `mounting ${blob.digest} of ${formatRepository(from)} into ${formatRepository(target.name)}`;
	try {
		const response = await target.send({ method: 'POST', url, access, idempotent: true }, signal);
		if (isRetryableStatus(response.status)) throw await responseError(response, what);
		discard(response);
		if (response.status === 201) return true;
		return response.status === 202 ? sessionOf(response) : undefined;
	} catch (error) {
		if (isBuildError(error, 'REGISTRY_UNAUTHORIZED', 'REGISTRY_DENIED')) return undefined;
		throw error;
	}
}

/**
 * Uploads `content` as `blob`: one POST and one PUT; in chunks just below 4 MiB when the body is too large for a proxy. A session that
 * fails is begun again with fresh content, three sessions in all. `opened` is a session that a refused mount left.
 */
export async function uploadBlob(
	target: UploadTarget,
	blob: Descriptor,
	content: OpenContent,
	opened: URL | undefined,
	signal: AbortSignal,
): Promise<void> {
	const what = `pushing ${blob.digest} to ${formatRepository(target.name)}`;
	let chunked = false;
	let session = opened;
	for (let attempt = 1; ; attempt += 1) {
		const outcome = await uploadOnce(target, blob, content, { session, chunked, last: attempt === SESSIONS }, signal);
		if (outcome === 'done') return;
		session = undefined;
		if (outcome === 'too large') chunked = true;
		else await waitToRetry({ what, attempt, reason: outcome.reason }, undefined, target.retry, signal);
	}
}

interface Session {
	readonly session: URL | undefined;
	readonly chunked: boolean;
	readonly last: boolean;
}

async function uploadOnce(
	target: UploadTarget,
	blob: Descriptor,
	content: OpenContent,
	{ session, chunked, last }: Session,
	signal: AbortSignal,
): Promise<'done' | 'too large' | { readonly reason: string }> {
	try {
		const start = session === undefined ? await startSession(target, signal) : { url: session, minimum: 0 };
		const put = chunked ? putChunks : putWhole;
		const response = await put(target, blob, content, start, signal);
		const next = nextStep(response.status, chunked);
		if (next === 'fail' || (last && next !== 'done')) {
			throw await responseError(response, `pushing ${blob.digest} to ${formatRepository(target.name)}`);
		}
		discard(response);
		return next === 'again' ? { reason: `HTTP ${response.status}` } : next;
	} catch (error) {
		if (last || signal.aborted || !isTransient(error)) throw error;
		return { reason: redact(messageOf(error)) };
	}
}

// 404 and, in Azure at times, 416 say that the registry lost the session.
function nextStep(status: number, chunked: boolean): 'done' | 'too large' | 'again' | 'fail' {
	if (status === 201 || status === 204) return 'done';
	if ((status === 413 || status === 416) && !chunked) return 'too large';
	return isRetryableStatus(status) || status === 404 || status === 416 ? 'again' : 'fail';
}

interface Start {
	readonly url: URL;
	/** The smallest chunk the registry takes, in bytes. */
	readonly minimum: number;
}

async function startSession(target: UploadTarget, signal: AbortSignal): Promise<Start> {
	const what = `starting an upload to ${formatRepository(target.name)}`;
	const request: HttpRequest = { method: 'POST', url: uploadsUrl(target), access: push(target), idempotent: true };
	const response = await target.send(request, signal);
	if (response.status !== 202) throw await responseError(response, what);
	discard(response);
	const url = sessionOf(response);
	if (url !== undefined) return { url, minimum: Number(response.headers['oci-chunk-min-length'] ?? 0) };
	throw new BuildError('REGISTRY_REFUSED', `${what} failed: the registry sent no Location`, {
		hint: 'A proxy may drop headers between here and the registry; ask who runs it.',
	});
}

function putWhole(
	target: UploadTarget,
	blob: Descriptor,
	content: OpenContent,
	start: Start,
	signal: AbortSignal,
): Promise<HttpResponse> {
	const body = { size: blob.size, open: content };
	return target.send(sessionRequest(target, 'PUT', withDigest(start.url, blob), body), signal);
}

// The last chunk rides on the PUT: Amazon ECR refuses a PUT without content after chunks.
async function putChunks(
	target: UploadTarget,
	blob: Descriptor,
	content: OpenContent,
	start: Start,
	signal: AbortSignal,
): Promise<HttpResponse> {
	const size = Math.min(Math.max(CHUNK_BYTES, start.minimum || 0), MAX_CHUNK_BYTES);
	const stream = await content(signal);
	let url = start.url;
	let offset = 0;
	try {
		for await (const chunk of chunksOf(stream, size)) {
			const body = { size: chunk.length, open: () => Promise.resolve(Readable.from([chunk])) };
			const range = { 'content-range': `${offset}-${offset + chunk.length - 1}` };
			const isLast = offset + chunk.length >= blob.size;
			const request = isLast
				? sessionRequest(target, 'PUT', withDigest(url, blob), body, range)
				: sessionRequest(target, 'PATCH', url, body, range);
			const response = await target.send(request, signal);
			if (isLast || (response.status !== 202 && response.status !== 201)) return response;
			discard(response);
			url = sessionOf(response) ?? url;
			offset += chunk.length;
		}
	} finally {
		stream.destroy();
	}
	throw new BuildError('DIGEST_MISMATCH', `the content of ${blob.digest} ended after ${offset} of ${blob.size} bytes`, {
		hint: 'The content changed while it was pushed; build again.',
	});
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

function sessionRequest(
	target: UploadTarget,
	method: 'PUT' | 'PATCH',
	url: URL,
	body: NonNullable<HttpRequest['body']>,
	headers: Readonly<Record<string, string>> = {},
): HttpRequest {
	const request = { method, url, body, headers: { 'content-type': 'application/octet-stream', ...headers } };
	return url.origin === target.endpoint.origin ? { ...request, access: push(target) } : request;
}

function push(target: UploadTarget): Access {
	return { repository: target.name, actions: 'pull,push' };
}

function uploadsUrl(target: UploadTarget): URL {
	return new URL(`/v2/${target.name.path}/blobs/uploads/`, target.endpoint);
}

function sessionOf(response: HttpResponse): URL | undefined {
	const location = response.headers['location'];
	return location === undefined ? undefined : resolveHop(response.url, location);
}

// Appended as text: parsing and writing the query again could change state that the registry has signed.
function withDigest(session: URL, blob: Descriptor): URL {
	const url = new URL(session);
	url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(blob.digest)}`;
	return url;
}

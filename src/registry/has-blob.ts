import { isBuildError } from '../errors.js';
import type { Descriptor } from '../oci/descriptor.js';
import { namedBy, resolveHop } from './hosts.js';
import { responseError } from './response-error.js';
import { discard, type HttpRequest, type HttpResponse, type Transport } from './transport.js';

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
/** Of servers that do not answer HEAD, and of storage whose signed address is for GET only. */
const NO_HEAD: readonly number[] = [400, 403, 405, 501];

/**
 * Whether the registry has `blob`, by `request`, a HEAD of it; `what` is for the error of a registry that limits us. Where HEAD itself is
 * refused, also by the storage that it leads to, the first byte is asked for. What cannot be learned is taken for missing, and
 * uploaded; who may not push at all hears it then.
 */
export async function hasBlob(
	send: Transport,
	request: HttpRequest,
	blob: Descriptor,
	what: string,
	signal: AbortSignal,
): Promise<boolean> {
	const first = await send({ ...request, redirect: 'never' }, signal);
	if (first.status === 429) throw await responseError(first, what);
	discard(first);
	const response = REDIRECTS.includes(first.status) ? await follow(send, request, first, signal) : first;
	if (response === undefined) return false;
	if (NO_HEAD.includes(response.status)) return hasFirstByte(send, request, signal);
	const { 'content-length': length, 'content-encoding': encoding } = response.headers;
	const isSame = length === undefined || encoding !== undefined || Number(length) === blob.size;
	return response.status === 200 && isSame;
}

/** Undefined where it leads nowhere: storage need not be reachable from here for a push. */
async function follow(
	send: Transport,
	{ method, access }: HttpRequest,
	{ url, headers }: HttpResponse,
	signal: AbortSignal,
): Promise<HttpResponse | undefined> {
	return orNothing(signal, async () => {
		const to = resolveHop(url, headers['location'] ?? '');
		const isOwn = access !== undefined && to.origin === url.origin;
		const response = await send({ method, url: to, ...namedBy(url, to), ...(isOwn ? { access } : {}) }, signal);
		discard(response);
		return response;
	});
}

async function hasFirstByte(send: Transport, request: HttpRequest, signal: AbortSignal): Promise<boolean> {
	const response = await orNothing(signal, async () => {
		return send({ ...request, method: 'GET', headers: { range: 'bytes=0-0' } }, signal);
	});
	response?.body.on('error', () => undefined).destroy();
	return response?.status === 200 || response?.status === 206;
}

async function orNothing(signal: AbortSignal, ask: () => Promise<HttpResponse>): Promise<HttpResponse | undefined> {
	try {
		return await ask();
	} catch (error) {
		signal.throwIfAborted();
		if (isBuildError(error)) return undefined;
		throw error;
	}
}

import { discard, type HttpResponse } from '../http/client.js';
import { locationOf, redirected } from '../http/redirect.js';
import type { Descriptor } from '../oci/descriptor.js';
import { ifPossible } from './remote.js';
import { responseError } from './response-error.js';
import { REGISTRY, type RegistryRequest, type Transport } from './transport.js';

/** Of servers that do not answer HEAD, and of storage whose signed address is for GET only. */
const NO_HEAD: readonly number[] = [400, 403, 405, 501];

/**
 * Whether the registry has `blob`, by `request`, a HEAD of it; `what` is for the error of a registry that limits us. Where HEAD itself is
 * refused, also by the storage that it leads to, the first byte is asked for. What cannot be learned is taken for missing, and
 * uploaded; who may not push at all hears it then.
 */
export async function hasBlob(
	send: Transport,
	request: RegistryRequest,
	blob: Descriptor,
	what: string,
	signal: AbortSignal,
): Promise<boolean> {
	const first = await send({ ...request, redirect: 'never' }, signal);
	if (first.status === 429) throw await responseError(first, what);
	discard(first);
	const location = locationOf(first);
	const response = location === undefined ? first : await follow(send, request, location, signal);
	if (response === undefined) return false;
	if (NO_HEAD.includes(response.status)) return hasFirstByte(send, request, signal);
	const { 'content-length': length, 'content-encoding': encoding } = response.headers;
	const isSame = length === undefined || encoding !== undefined || Number(length) === blob.size;
	return response.status === 200 && isSame;
}

/** Undefined where it leads nowhere: storage need not be reachable from here for a push. */
async function follow(
	send: Transport,
	request: RegistryRequest,
	location: string,
	signal: AbortSignal,
): Promise<HttpResponse | undefined> {
	return ifPossible(signal, async () => {
		const response = await send(redirected(request, location, REGISTRY), signal);
		discard(response);
		return response;
	});
}

async function hasFirstByte(send: Transport, request: RegistryRequest, signal: AbortSignal): Promise<boolean> {
	const response = await ifPossible(signal, async () => {
		return send({ ...request, method: 'GET', headers: { range: 'bytes=0-0' } }, signal);
	});
	response?.body.on('error', () => undefined).destroy();
	return response?.status === 200 || response?.status === 206;
}

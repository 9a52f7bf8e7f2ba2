import { discard } from '../http/client.js';
import { locationOf, redirected } from '../http/redirect.js';
import type { Descriptor } from '../oci/descriptor.js';
import { formatRepository } from '../oci/reference.js';
import { responseError } from './response-error.js';
import {
	ifPossible,
	REGISTRY,
	type RegistryRequest,
	type RemoteRepository,
	requestTo,
	type Transport,
} from './transport.js';

/** Of servers that do not answer HEAD, and of storage whose signed address is for GET only. */
const NO_HEAD: readonly number[] = [400, 403, 405, 501];

/**
 * Whether the registry has `blob`, by a HEAD of it. Where HEAD itself is refused, also by the storage that it leads to, the first byte is
 * asked for. What cannot be learned is taken for missing, and uploaded: storage need not be reachable from here for a push, and who may
 * not push at all hears it then. Throws REGISTRY_LIMITED.
 */
export async function hasBlob(remote: RemoteRepository, blob: Descriptor, signal: AbortSignal): Promise<boolean> {
	const { name, send } = remote;
	const request = requestTo(remote, 'HEAD', `blobs/${blob.digest}`, 'pull,push');
	const first = await send({ ...request, redirect: 'never' }, signal);
	if (first.status === 429) throw await responseError(first, `pushing ${blob.digest} to ${formatRepository(name)}`);
	const location = locationOf(first);
	discard(first);
	const follow = () => send(redirected(request, location ?? '', REGISTRY), signal);
	const response = location === undefined ? first : await ifPossible(signal, follow);
	if (response === undefined) return false;
	discard(response);
	if (NO_HEAD.includes(response.status)) return hasFirstByte(send, request, signal);
	const { 'content-length': length, 'content-encoding': encoding } = response.headers;
	const isSame = length === undefined || encoding !== undefined || Number(length) === blob.size;
	return response.status === 200 && isSame;
}

async function hasFirstByte(send: Transport, request: RegistryRequest, signal: AbortSignal): Promise<boolean> {
	const response = await ifPossible(signal, async () => {
		return send({ ...request, method: 'GET', headers: { range: 'bytes=0-0' } }, signal);
	});
	response?.body.on('error', () => undefined).destroy();
	return response?.status === 200 || response?.status === 206;
}

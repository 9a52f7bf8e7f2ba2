import { readBytes } from '../../content/verify.js';
import { type Digest, isDigest } from '../../oci/digest.js';
import { MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.js';
import { MANIFEST_ACCEPT } from '../../oci/media-types.js';
import { formatRepository, type RepositoryName } from '../../oci/reference.js';
import { resolveHop } from '../../registry/hosts.js';
import { responseError } from '../../registry/response-error.js';
import { type Access, discard, type HttpResponse, type Transport } from '../../registry/transport.js';
import type { Answer } from './diagnosis.js';

/** One repository, and the way to it. */
export interface RightsContext {
	readonly name: RepositoryName;
	/** Base URL of the registry's API. */
	readonly endpoint: URL;
	readonly send: Transport;
	/** Takes what is worth telling although nothing failed. */
	readonly note: (reason: string) => void;
}

/**
 * Whether what `reference` names can be pulled, and a blob that is there then. An image that does not exist is `unknown`. Throws what the
 * registry refused with.
 */
export async function tryPull(
	{ name, endpoint, send, note }: RightsContext,
	reference: string,
	signal: AbortSignal,
): Promise<{ readonly pull: Answer; readonly config: Digest | undefined }> {
	const image = `${formatRepository(name)}${isDigest(reference) ? '@' : ':'}${reference}`;
	const url = new URL(`/v2/${name.path}/manifests/${reference}`, endpoint);
	const access: Access = { repository: name, actions: 'pull' };
	const response = await send({ method: 'GET', url, access, headers: { accept: MANIFEST_ACCEPT } }, signal);
	if (response.status === 404) {
		discard(response);
		note(`${image} does not exist, or we may not know of it`);
		return { pull: 'unknown', config: undefined };
	}
	if (response.status !== 200) throw await responseError(response, `pulling the manifest of ${image}`);
	const bytes = await readBytes(response.body, MAX_MANIFEST_BYTES, `the manifest of ${image}`);
	const mediaType = response.headers['content-type'];
	const manifest = parseManifest(bytes, mediaType === undefined ? {} : { mediaType }, image);
	const { value } = manifest;
	if ('config' in value) return { pull: 'yes', config: value.config.digest };
	const variant = value.manifests[0]?.digest;
	if (variant === undefined || isDigest(reference)) return { pull: 'yes', config: undefined };
	return tryPull({ name, endpoint, send, note }, variant, signal);
}

/** Whether an upload can be begun; it is cancelled at once. Throws what the registry refused with. */
export async function tryPush(context: RightsContext, signal: AbortSignal): Promise<Answer> {
	const { name, endpoint, send } = context;
	const url = uploads(name, endpoint);
	const response = await send({ method: 'POST', url, access: pushTo(name) }, signal);
	if (response.status !== 202) throw await responseError(response, `starting an upload to ${formatRepository(name)}`);
	discard(response);
	await cancel(response, context, signal);
	return 'yes';
}

/**
 * Whether the registry shares `blob` within itself (distribution-spec v1.1 "mounting"). It is asked for a blob that the repository has
 * already, so that nothing is new afterwards.
 */
export async function tryMount(context: RightsContext, blob: Digest, signal: AbortSignal): Promise<Answer> {
	const { name, endpoint, send } = context;
	const url = uploads(name, endpoint);
	url.search = `?mount=${encodeURIComponent(blob)}&from=${encodeURIComponent(name.path)}`;
	const response = await send({ method: 'POST', url, access: pushTo(name) }, signal);
	discard(response);
	if (response.status === 202) await cancel(response, context, signal);
	return response.status === 201 ? 'yes' : 'no';
}

/** Ends the upload session that `begun` opened. */
async function cancel(
	begun: HttpResponse,
	{ name, endpoint, send, note }: RightsContext,
	signal: AbortSignal,
): Promise<void> {
	const location = begun.headers['location'];
	if (location === undefined) return;
	const url = resolveHop(begun.url, location);
	const own = url.origin === endpoint.origin ? { access: pushTo(name) } : {};
	const response = await send({ method: 'DELETE', url, ...own }, signal);
	discard(response);
	if (response.status >= 200 && response.status <= 299) return;
	note(
		`the registry does not cancel uploads (HTTP ${response.status}); the empty one that was begun expires by itself`,
	);
}

function uploads(name: RepositoryName, endpoint: URL): URL {
	return new URL(`/v2/${name.path}/blobs/uploads/`, endpoint);
}

function pushTo(repository: RepositoryName): Access {
	return { repository, actions: 'pull,push' };
}

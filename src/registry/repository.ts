import { Readable } from 'node:stream';
import type { ImageSource, ImageTarget } from '../content/blob.js';
import { readBytes } from '../content/verify.js';
import { BuildError, isBuildError, messageOf } from '../errors.js';
import type { Descriptor, Document } from '../oci/descriptor.js';
import { type Digest, isDigest } from '../oci/digest.js';
import type { Index, Manifest } from '../oci/image.js';
import { MAX_MANIFEST_BYTES, parseManifest } from '../oci/manifest.js';
import { isIndexType, isManifestType, MANIFEST_ACCEPT } from '../oci/media-types.js';
import { formatRepository, type RepositoryName } from '../oci/reference.js';
import { openDownload } from './download.js';
import { hasBlob } from './has-blob.js';
import { mountBlob } from './mount.js';
import { responseError } from './response-error.js';
import type { RetryOptions } from './retry.js';
import { type Access, discard, type HttpRequest, type HttpResponse, type Transport } from './transport.js';
import { unreachable } from './unreachable.js';
import { uploadBlob } from './upload.js';
import type { Habits } from './upload-plan.js';
import type { UploadSession, UploadTarget } from './upload-session.js';

/** One repository on one registry, as the OCI distribution spec v1.1 sees it. */
export interface Repository extends ImageSource, ImageTarget {
	readonly name: RepositoryName;
	/** What `reference` (tag or digest) names, without its content: registries do not count this as a pull. */
	resolve(reference: string, signal: AbortSignal): Promise<Descriptor>;
}

/** How a repository reaches its registry; `nameOf` tells which repository an image source is, if it is one. */
export interface RepositoryAccess {
	readonly endpoint: (signal: AbortSignal) => Promise<URL>;
	readonly send: Transport;
	readonly retry: RetryOptions;
	readonly nameOf: (source: ImageSource) => RepositoryName | undefined;
	/** What uploads have taught of the registry. */
	readonly habits: () => Habits;
	readonly learned: (habits: Habits) => void;
	/** Upload sessions that refused mounts have left and nobody used yet, by repository and digest. */
	readonly opened: Map<string, OpenedSession>;
}

/** An upload session and where it is. */
export interface OpenedSession {
	readonly target: UploadTarget;
	readonly session: UploadSession;
}

interface Context {
	readonly name: RepositoryName;
	readonly access: RepositoryAccess;
}

/** The repository `name`. Nothing is sent before the first call. */
export function openRepository(name: RepositoryName, access: RepositoryAccess): Repository {
	const context: Context = { name, access };
	const has = async (blob: Descriptor, signal: AbortSignal): Promise<boolean> => {
		const request = await requestFor(context, 'HEAD', `blobs/${blob.digest}`, 'pull,push', signal);
		return hasBlob(access.send, request, blob, `pushing ${blob.digest} to ${formatRepository(name)}`, signal);
	};
	const keyOf = (blob: Descriptor): string => `${formatRepository(name)}@${blob.digest}`;
	const uploadTarget = async (signal: AbortSignal): Promise<UploadTarget> => {
		return { name, endpoint: await access.endpoint(signal), send: access.send, retry: access.retry };
	};
	return {
		name,
		resolve: (reference, signal) => resolveManifest(context, reference, signal),
		manifest: (reference, signal) => getManifest(context, reference, signal),
		open: async (blob, signal) => {
			const request = await requestFor(context, 'GET', `blobs/${blob.digest}`, 'pull', signal);
			const what = `pulling ${blob.digest} from ${formatRepository(name)}`;
			return openDownload({ request, send: access.send, retry: access.retry, what }, blob, signal);
		},
		has,
		mount: async (blob, source, signal) => {
			const from = access.nameOf(source);
			if (from?.registry !== name.registry || from.path === name.path) return false;
			const target = await uploadTarget(signal);
			const mounted = await mountBlob(target, blob, from, signal);
			if (mounted === 'unsure') return has(blob, signal);
			if (mounted === true || mounted === undefined) return mounted === true;
			access.opened.set(keyOf(blob), { target, session: mounted });
			return false;
		},
		put: async (blob, content, signal) => {
			const opened = access.opened.get(keyOf(blob))?.session;
			access.opened.delete(keyOf(blob));
			const { habits, learned } = access;
			const options = { opened, habits: habits(), learned, has: () => has(blob, signal) };
			await uploadBlob(await uploadTarget(signal), blob, content, options, signal);
		},
		putManifest: (manifest, tag, signal) => putManifest(context, manifest, tag, signal),
		remove: (digest, signal) => removeManifest(context, digest, signal),
	};
}

async function requestFor(
	{ name, access }: Context,
	method: HttpRequest['method'],
	path: string,
	actions: Access['actions'],
	signal: AbortSignal,
): Promise<HttpRequest> {
	const url = new URL(`/v2/${name.path}/${path}`, await access.endpoint(signal));
	return { method, url, access: { repository: name, actions } };
}

async function requestManifest(
	context: Context,
	method: 'GET' | 'HEAD',
	reference: string,
	actions: Access['actions'],
	signal: AbortSignal,
): Promise<HttpResponse> {
	const request = await requestFor(context, method, `manifests/${reference}`, actions, signal);
	return context.access.send({ ...request, headers: { accept: MANIFEST_ACCEPT } }, signal);
}

async function resolveManifest(
	context: Context,
	reference: string,
	signal: AbortSignal,
	actions: Access['actions'] = 'pull',
): Promise<Descriptor> {
	const response = await requestManifest(context, 'HEAD', reference, actions, signal);
	discard(response);
	const digest = isDigest(reference) ? reference : (response.headers['docker-content-digest'] ?? '');
	const size = Number(response.headers['content-length'] ?? Number.NaN);
	const mediaType = response.headers['content-type'] ?? '';
	const known = isManifestType(mediaType) || isIndexType(mediaType);
	const isPlain = response.headers['content-encoding'] === undefined;
	if (response.status === 200 && isPlain && isDigest(digest) && size > 0 && known) return { mediaType, digest, size };
	return (await getManifest(context, reference, signal)).descriptor;
}

async function getManifest(
	context: Context,
	reference: string,
	signal: AbortSignal,
): Promise<Document<Manifest | Index>> {
	const image = `${formatRepository(context.name)}${isDigest(reference) ? '@' : ':'}${reference}`;
	const response = await requestManifest(context, 'GET', reference, 'pull', signal);
	if (response.status !== 200) throw await responseError(response, `pulling the manifest of ${image}`);
	const claimed = response.headers['docker-content-digest'];
	const digest = isDigest(reference) ? reference : claimed !== undefined && isDigest(claimed) ? claimed : undefined;
	const mediaType = response.headers['content-type'];
	const bytes = await readManifest(response, image, signal);
	return parseManifest(
		bytes,
		{ ...(digest === undefined ? {} : { digest }), ...(mediaType === undefined ? {} : { mediaType }) },
		image,
	);
}

async function readManifest(response: HttpResponse, image: string, signal: AbortSignal): Promise<Uint8Array> {
	try {
		return await readBytes(response.body, MAX_MANIFEST_BYTES, `the manifest of ${image}`);
	} catch (error) {
		signal.throwIfAborted();
		throw unreachable(`pulling the manifest of ${image}`, error);
	}
}

async function putManifest(
	context: Context,
	manifest: Document<Manifest>,
	tag: string | undefined,
	signal: AbortSignal,
): Promise<void> {
	const { descriptor, bytes } = manifest;
	const image = `${formatRepository(context.name)}${tag === undefined ? `@${descriptor.digest}` : `:${tag}`}`;
	const request = await requestFor(context, 'PUT', `manifests/${tag ?? descriptor.digest}`, 'pull,push', signal);
	const response = await context.access.send(
		{
			...request,
			headers: { 'content-type': descriptor.mediaType },
			body: { size: bytes.length, open: () => Promise.resolve(Readable.from([bytes], { objectMode: false })) },
			idempotent: true,
		},
		signal,
	);
	if (response.status < 200 || response.status > 299) {
		const error = await responseError(response, `pushing the manifest of ${image}`);
		if (await holdsAlready(context, response.status, descriptor, tag, signal)) return;
		throw error;
	}
	discard(response);
	const stored = response.headers['docker-content-digest'];
	if (stored === undefined || stored === descriptor.digest) return;
	throw new BuildError('DIGEST_MISMATCH', `${image} was stored as another manifest than the one that was pushed`, {
		hint: `The registry or a proxy changes manifests; expected ${descriptor.digest}.`,
	});
}

// Amazon ECR refuses to push an immutable tag again even when it is the same manifest.
async function holdsAlready(
	context: Context,
	status: number,
	manifest: Descriptor,
	tag: string | undefined,
	signal: AbortSignal,
): Promise<boolean> {
	if (tag === undefined || ![400, 403, 405, 409, 412].includes(status)) return false;
	try {
		return (await resolveManifest(context, tag, signal, 'pull,push')).digest === manifest.digest;
	} catch (error) {
		signal.throwIfAborted();
		if (isBuildError(error)) return false;
		throw new Error(messageOf(error), { cause: error });
	}
}

/** Docker Hub and GitHub answer 405, others 400 UNSUPPORTED, when manifests cannot be deleted (distribution-spec v1.1 "Deleting Manifests"). */
async function removeManifest(context: Context, digest: Digest, signal: AbortSignal): Promise<void> {
	const request = await requestFor(context, 'DELETE', `manifests/${digest}`, 'delete', signal);
	const response = await context.access.send({ ...request, idempotent: true }, signal);
	if ((response.status >= 200 && response.status <= 299) || response.status === 404) {
		discard(response);
		return;
	}
	throw await responseError(response, `deleting ${formatRepository(context.name)}@${digest}`);
}

import type { ImageSource, ImageTarget } from '../content/blob.js';
import { readBytes } from '../content/verify.js';
import { BuildError, isBuildError } from '../errors.js';
import { bodyOf, discard, type HttpResponse } from '../http/client.js';
import { requestFailed } from '../http/failure.js';
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
import { listTags } from './tags.js';
import { type Access, ATTEMPTS, ifPossible, REGISTRY, type RemoteRepository, requestTo } from './transport.js';
import { uploadBlob } from './upload.js';
import type { Habits } from './upload-plan.js';
import { startSession, type UploadSession } from './upload-session.js';

/** One repository on one registry, as the OCI distribution spec v1.1 sees it. */
export interface Repository extends ImageSource, ImageTarget {
	readonly name: RepositoryName;
	/** What `reference` (tag or digest) names, without its content: registries do not count this as a pull. */
	resolve(reference: string, signal: AbortSignal): Promise<Descriptor>;
	/** All tags, sorted. */
	tags(signal: AbortSignal): Promise<readonly string[]>;
	/** An index, too. */
	putManifest(manifest: Document<Manifest | Index>, tag: string | undefined, signal: AbortSignal): Promise<void>;
}

/** What one session has learned of all registries. */
export interface Known {
	/** Which repository an image source is, if it is one. */
	readonly names: WeakMap<ImageSource, RepositoryName>;
	/** What uploads have taught, by registry. */
	readonly habits: Map<string, Habits>;
	/** Upload sessions that nobody used yet: what refused mounts have left, by repository and digest, and the first of a repository. */
	readonly opened: Map<string, OpenedSession>;
}

interface OpenedSession {
	readonly remote: RemoteRepository;
	readonly session: UploadSession;
	/** When, as Date.now() says. */
	readonly since: number;
}

/** Registries forget sessions, some soon: an older one is not worth a try. */
const FRESH_MS = 60_000;

/** The repository `name`, which `reach` finds. Nothing is sent before the first call. */
export function openRepository(
	name: RepositoryName,
	reach: (signal: AbortSignal) => Promise<RemoteRepository>,
	{ names, habits, opened }: Known,
): Repository {
	const keyOf = (blob: Descriptor): string => `${formatRepository(name)}@${blob.digest}`;
	const has: Repository['has'] = async (blob, signal) => hasBlob(await reach(signal), blob, signal);
	const repository: Repository = {
		name,
		resolve: async (reference, signal) => resolveManifest(await reach(signal), reference, 'pull', signal),
		tags: async (signal) => listTags(await reach(signal), signal),
		manifest: async (reference, signal) => getManifest(await reach(signal), reference, signal),
		open: async (blob, signal) => openDownload(await reach(signal), blob, signal),
		has,
		mount: async (blob, source, signal) => {
			const from = names.get(source);
			if (from?.registry !== name.registry || from.path === name.path) return false;
			const remote = await reach(signal);
			const mounted = await mountBlob(remote, blob, from, signal);
			if (mounted === 'unsure') return has(blob, signal);
			if (mounted === true || mounted === undefined) return mounted === true;
			opened.set(keyOf(blob), { remote, session: mounted, since: Date.now() });
			return false;
		},
		admit: async (signal) => {
			const remote = await reach(signal);
			const session = await unlessTransient(signal, () => startSession(remote, signal));
			if (session !== undefined) opened.set(formatRepository(name), { remote, session, since: Date.now() });
		},
		put: async (blob, content, signal) => {
			const session = take(opened, keyOf(blob)) ?? takeFresh(opened, formatRepository(name));
			await uploadBlob({ remote: await reach(signal), blob, content }, session, habits, signal);
		},
		putManifest: async (manifest, tag, signal) => putManifest(await reach(signal), manifest, tag, signal),
		remove: async (digest, signal) => removeManifest(await reach(signal), digest, signal),
	};
	names.set(repository, name);
	return repository;
}

function take(opened: Known['opened'], key: string): UploadSession | undefined {
	const found = opened.get(key)?.session;
	opened.delete(key);
	return found;
}

function takeFresh(opened: Known['opened'], key: string): UploadSession | undefined {
	const since = opened.get(key)?.since ?? 0;
	return Date.now() - since < FRESH_MS ? take(opened, key) : undefined;
}

/** What `work` resolves with; undefined when it fails, but not for want of a right. */
async function unlessTransient<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
	try {
		return await work();
	} catch (error) {
		signal.throwIfAborted();
		if (isBuildError(error, 'REGISTRY_UNAUTHORIZED', 'REGISTRY_DENIED', 'REGISTRY_NOT_FOUND')) throw error;
		return undefined;
	}
}

async function requestManifest(
	remote: RemoteRepository,
	method: 'GET' | 'HEAD',
	reference: string,
	actions: Access['actions'],
	signal: AbortSignal,
): Promise<HttpResponse> {
	const request = requestTo(remote, method, `manifests/${reference}`, actions);
	return remote.send({ ...request, headers: { accept: MANIFEST_ACCEPT } }, signal);
}

async function resolveManifest(
	remote: RemoteRepository,
	reference: string,
	actions: Access['actions'],
	signal: AbortSignal,
): Promise<Descriptor> {
	const response = await requestManifest(remote, 'HEAD', reference, actions, signal);
	discard(response);
	const digest = isDigest(reference) ? reference : (response.headers['docker-content-digest'] ?? '');
	const size = Number(response.headers['content-length'] ?? Number.NaN);
	const mediaType = response.headers['content-type'] ?? '';
	const known = isManifestType(mediaType) || isIndexType(mediaType);
	const isPlain = response.headers['content-encoding'] === undefined;
	if (response.status === 200 && isPlain && isDigest(digest) && size > 0 && known) return { mediaType, digest, size };
	return (await getManifest(remote, reference, signal)).descriptor;
}

async function getManifest(
	remote: RemoteRepository,
	reference: string,
	signal: AbortSignal,
): Promise<Document<Manifest | Index>> {
	const image = `${formatRepository(remote.name)}${isDigest(reference) ? '@' : ':'}${reference}`;
	const response = await requestManifest(remote, 'GET', reference, 'pull', signal);
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
		throw requestFailed(`pulling the manifest of ${image}`, error, REGISTRY);
	}
}

async function putManifest(
	remote: RemoteRepository,
	manifest: Document<Manifest | Index>,
	tag: string | undefined,
	signal: AbortSignal,
): Promise<void> {
	const { descriptor, bytes } = manifest;
	const image = `${formatRepository(remote.name)}${tag === undefined ? `@${descriptor.digest}` : `:${tag}`}`;
	const request = requestTo(remote, 'PUT', `manifests/${tag ?? descriptor.digest}`, 'pull,push');
	const headers = { 'content-type': descriptor.mediaType };
	const response = await remote.send({ ...request, headers, body: bodyOf(bytes), tries: ATTEMPTS }, signal);
	if (response.status < 200 || response.status > 299) {
		const error = await responseError(response, `pushing the manifest of ${image}`);
		if (await holdsAlready(remote, response.status, descriptor, tag, signal)) return;
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
	remote: RemoteRepository,
	status: number,
	manifest: Descriptor,
	tag: string | undefined,
	signal: AbortSignal,
): Promise<boolean> {
	if (tag === undefined || ![400, 403, 405, 409, 412].includes(status)) return false;
	const held = await ifPossible(signal, () => resolveManifest(remote, tag, 'pull,push', signal));
	return held?.digest === manifest.digest;
}

/** Docker Hub and GitHub answer 405, others 400 UNSUPPORTED, when manifests cannot be deleted (distribution-spec v1.1 "Deleting Manifests"). */
async function removeManifest(remote: RemoteRepository, digest: Digest, signal: AbortSignal): Promise<void> {
	const request = requestTo(remote, 'DELETE', `manifests/${digest}`, 'delete');
	const response = await remote.send({ ...request, tries: ATTEMPTS }, signal);
	if ((response.status >= 200 && response.status <= 299) || response.status === 404) {
		discard(response);
		return;
	}
	throw await responseError(response, `deleting ${formatRepository(remote.name)}@${digest}`);
}

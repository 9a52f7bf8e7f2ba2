import { BuildError } from '../errors.js';
import { formatRepository, type RepositoryName } from '../oci/reference.js';
import { namedBy, resolveHop } from './hosts.js';
import { responseError } from './response-error.js';
import type { RetryOptions } from './retry.js';
import { type Access, discard, type HttpRequest, type HttpResponse, type Transport } from './transport.js';

/** The registry side of uploads to one repository. */
export interface UploadTarget {
	readonly name: RepositoryName;
	/** Base URL of the registry's API. */
	readonly endpoint: URL;
	readonly send: Transport;
	readonly retry: RetryOptions;
}

/** An upload that the registry has opened. */
export interface UploadSession {
	readonly url: URL;
	/** The smallest chunk that the registry takes, in bytes (OCI-Chunk-Min-Length). */
	readonly minimum: number;
}

const CANCEL_LIMIT_MS = 2000;
const UPLOAD_ID = /^[A-Za-z0-9._~=-]{1,300}$/;

/** Opens an upload (distribution-spec v1.1 "POST then PUT"). Throws what the registry says, or REGISTRY_REFUSED when it names no session. */
export async function startSession(target: UploadTarget, signal: AbortSignal): Promise<UploadSession> {
	const what = `starting an upload to ${formatRepository(target.name)}`;
	const request: HttpRequest = { method: 'POST', url: uploadsUrl(target), access: push(target), idempotent: true };
	const response = await target.send(request, signal);
	if (response.status < 200 || response.status > 299) throw await responseError(response, what);
	discard(response);
	const session = sessionOf(response);
	if (session !== undefined) return session;
	throw new BuildError('REGISTRY_REFUSED', `${what} failed: the registry sent no Location`, {
		hint: 'A proxy may drop headers between here and the registry; ask who runs it.',
	});
}

/** The session that `response` names in its Location, or, where that is missing, by the id that Docker's registry sends as well. */
export function sessionOf(response: HttpResponse): UploadSession | undefined {
	const { location = '', 'docker-upload-uuid': id = '' } = response.headers;
	const minimum = Number(response.headers['oci-chunk-min-length'] ?? 0) || 0;
	if (location !== '') return { url: resolveHop(response.url, location), minimum };
	const isCollection = response.url.pathname.endsWith('/blobs/uploads/');
	return isCollection && UPLOAD_ID.test(id) ? { url: new URL(id, response.url), minimum } : undefined;
}

/**
 * Tells the registry that the upload at `url` is given up (distribution-spec v1.1 "Canceling an Upload"). Never rejects: not every
 * registry knows it, and not every token may; two seconds at most.
 */
export async function cancelSession(target: UploadTarget, url: URL): Promise<void> {
	const request: HttpRequest = { method: 'DELETE', url, ...namedBy(target.endpoint, url) };
	const isOwn = url.origin === target.endpoint.origin;
	const access: Access = { repository: target.name, actions: 'delete' };
	try {
		discard(await target.send(isOwn ? { ...request, access } : request, AbortSignal.timeout(CANCEL_LIMIT_MS)));
	} catch {
		// The registry ends abandoned uploads by itself, later.
	}
}

/** A request within the session at `url`; another host than the registry's gets no credentials. */
export function sessionRequest(
	target: UploadTarget,
	method: 'PUT' | 'PATCH',
	url: URL,
	body: HttpRequest['body'],
	headers: Readonly<Record<string, string>> = {},
): HttpRequest {
	const request = {
		method,
		url,
		...namedBy(target.endpoint, url),
		...(body === undefined ? { headers } : { body, headers: { ...CONTENT, ...headers } }),
	};
	return url.origin === target.endpoint.origin ? { ...request, access: push(target) } : request;
}

const CONTENT = { 'content-type': 'application/octet-stream' } as const;

/** Where uploads to the repository begin. */
export function uploadsUrl(target: UploadTarget): URL {
	return new URL(`/v2/${target.name.path}/blobs/uploads/`, target.endpoint);
}

function push(target: UploadTarget): Access {
	return { repository: target.name, actions: 'pull,push' };
}

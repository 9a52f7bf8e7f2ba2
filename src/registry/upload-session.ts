import { BuildError } from '../errors.js';
import { discard, type HttpRequest, type HttpResponse } from '../http/client.js';
import { resolveLocation } from '../http/redirect.js';
import { formatRepository } from '../oci/reference.js';
import { responseError } from './response-error.js';
import { ATTEMPTS, REGISTRY, type RegistryRequest, type RemoteRepository, requestTo } from './transport.js';

/** An upload that the registry has opened. */
export interface UploadSession {
	readonly url: URL;
	/** The smallest chunk that the registry takes, in bytes (OCI-Chunk-Min-Length). */
	readonly minimum: number;
}

const CANCEL_LIMIT_MS = 2000;
const UPLOAD_ID = /^[A-Za-z0-9._~=-]{1,300}$/;
const CONTENT = { 'content-type': 'application/octet-stream' } as const;

/** Opens an upload (distribution-spec v1.1 "POST then PUT"). Throws what the registry says, or REGISTRY_REFUSED when it names no session. */
export async function startSession(remote: RemoteRepository, signal: AbortSignal): Promise<UploadSession> {
	const what = `starting an upload to ${formatRepository(remote.name)}`;
	const request = requestTo(remote, 'POST', 'blobs/uploads/', 'pull,push');
	const response = await remote.send({ ...request, tries: ATTEMPTS }, signal);
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
	if (location !== '') return { url: resolveLocation(response.url, location, REGISTRY), minimum };
	const isCollection = response.url.pathname.endsWith('/blobs/uploads/');
	return isCollection && UPLOAD_ID.test(id) ? { url: new URL(id, response.url), minimum } : undefined;
}

/**
 * Tells the registry that the upload at `url` is given up (distribution-spec v1.1 "Canceling an Upload"); resolves with the status of its
 * answer, if there is one. Never rejects: not every registry knows it, and not every token may; two seconds at most.
 */
export async function cancelSession(remote: RemoteRepository, url: URL): Promise<number | undefined> {
	try {
		const request = requestTo(remote, 'DELETE', url, 'delete');
		const response = await remote.send(request, AbortSignal.timeout(CANCEL_LIMIT_MS));
		discard(response);
		return response.status;
	} catch {
		// The registry ends abandoned uploads by itself, later.
		return undefined;
	}
}

/** A request within the session at `url`. */
export function sessionRequest(
	remote: RemoteRepository,
	method: 'PUT' | 'PATCH',
	url: URL,
	body: HttpRequest['body'],
	headers: Readonly<Record<string, string>> = {},
): RegistryRequest {
	const request = requestTo(remote, method, url, 'pull,push');
	return { ...request, body, headers: body === undefined ? headers : { ...CONTENT, ...headers } };
}

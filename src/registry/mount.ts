import { discard, type HttpResponse } from '../http/client.js';
import type { Descriptor } from '../oci/descriptor.js';
import type { RepositoryName } from '../oci/reference.js';
import { ifPossible, type RemoteRepository, requestTo } from './transport.js';
import { sessionOf, type UploadSession } from './upload-session.js';

/** Once more after what may pass, since copying a large layer costs much more. */
const TRIES = 2;

/**
 * Asks the registry to share `blob` of `from` (distribution-spec v1.1 "mounting"). True when it says so by name, `unsure` when it
 * says so without naming the blob; else the upload session that it may have opened, or undefined. A mount saves time and is never
 * needed, so whatever else a registry answers is a refusal: Harbor and GitLab use 401, 403, 404 and 405, others 400 and 5xx. A session
 * that leads nowhere good is met again, and told, when the upload itself begins.
 */
export async function mountBlob(
	remote: RemoteRepository,
	blob: Pick<Descriptor, 'digest'>,
	from: RepositoryName,
	signal: AbortSignal,
): Promise<true | 'unsure' | UploadSession | undefined> {
	const query = `?mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(from.path)}`;
	const request = requestTo(remote, 'POST', `blobs/uploads/${query}`, 'pull,push');
	const access = { repository: remote.name, actions: 'pull,push', from } as const;
	return ifPossible(signal, async () => {
		const response = await remote.send({ ...request, access, tries: TRIES }, signal);
		discard(response);
		if (response.status === 202) return sessionOf(response);
		if (response.status < 200 || response.status > 299) return undefined;
		return response.status === 201 && isNamed(blob, response) ? true : 'unsure';
	});
}

function isNamed({ digest }: Pick<Descriptor, 'digest'>, { headers }: HttpResponse): boolean {
	const named = `${headers['docker-content-digest'] ?? ''} ${headers['location'] ?? ''}`;
	return named.replaceAll(/%3a/gi, ':').includes(digest);
}

import { isBuildError } from '../errors.js';
import type { Descriptor } from '../oci/descriptor.js';
import { formatRepository, type RepositoryName } from '../oci/reference.js';
import { isRetryableStatus, parseRetryAfter, waitToRetry } from './retry.js';
import { type Access, discard, type HttpRequest, type HttpResponse } from './transport.js';
import { isTransient } from './unreachable.js';
import { sessionOf, type UploadSession, type UploadTarget, uploadsUrl } from './upload-session.js';

const TRIES = 2;

/**
 * Asks the registry to share `blob` of `from` (distribution-spec v1.1 "mounting"). True when it says so by name, `unsure` when it
 * says so without naming the blob; else the upload session that it may have opened, or undefined. A mount saves time and is never
 * needed, so whatever else a registry answers is a refusal: Harbor and GitLab use 401, 403, 404 and 405, others 400 and 5xx.
 */
export async function mountBlob(
	target: UploadTarget,
	blob: Descriptor,
	from: RepositoryName,
	signal: AbortSignal,
): Promise<true | 'unsure' | UploadSession | undefined> {
	const url = uploadsUrl(target);
	url.search = `?mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(from.path)}`;
	const access: Access = { repository: target.name, actions: 'pull,push', from };
	const what = `mounting ${blob.digest} of ${formatRepository(from)} into ${formatRepository(target.name)}`;
	const response = await askTwice(target, { method: 'POST', url, access }, what, signal);
	if (response === undefined) return undefined;
	discard(response);
	if (response.status === 202) return sessionIn(response);
	if (response.status < 200 || response.status > 299) return undefined;
	const named = `${response.headers['docker-content-digest'] ?? ''} ${response.headers['location'] ?? ''}`;
	return response.status === 201 && decoded(named).includes(blob.digest) ? true : 'unsure';
}

/** Once more after what may pass, since copying a large layer costs much more. */
async function askTwice(
	target: UploadTarget,
	request: HttpRequest,
	what: string,
	signal: AbortSignal,
): Promise<HttpResponse | undefined> {
	for (let attempt = 1; ; attempt += 1) {
		let [reason, after]: [string, number | undefined] = ['no answer', undefined];
		try {
			const response = await target.send(request, signal);
			if (!isRetryableStatus(response.status) || attempt === TRIES) return response;
			discard(response);
			reason = `HTTP ${response.status}`;
			after = parseRetryAfter(response.headers['retry-after'], Date.now());
		} catch (error) {
			signal.throwIfAborted();
			if (!isBuildError(error)) throw error;
			if (!isTransient(error) || attempt === TRIES) return undefined;
		}
		await waitToRetry({ what, attempt, reason }, after, target.retry, signal);
	}
}

/** A Location that leads nowhere good is met again, and told, when the upload itself begins. */
function sessionIn(response: HttpResponse): UploadSession | undefined {
	try {
		return sessionOf(response);
	} catch (error) {
		if (isBuildError(error)) return undefined;
		throw error;
	}
}

function decoded(text: string): string {
	return text.replaceAll(/%3a/gi, ':');
}

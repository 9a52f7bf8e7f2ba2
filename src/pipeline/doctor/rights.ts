import { isBuildError } from '../../errors.js';
import { type Digest, isDigest } from '../../oci/digest.js';
import { formatRepository } from '../../oci/reference.js';
import { mountBlob } from '../../registry/mount.js';
import type { RemoteRepository } from '../../registry/remote-repository.js';
import type { Repository } from '../../registry/repository.js';
import { cancelSession, startSession, type UploadSession } from '../../registry/upload-session.js';
import type { Answer } from './diagnosis.js';

/** Takes what is worth telling although nothing failed. */
export type Note = (reason: string) => void;

/**
 * Whether what `reference` names can be pulled, and a blob that is there then. An image that does not exist is `unknown`. Throws what the
 * registry refused with.
 */
export async function tryPull(
	repository: Repository,
	reference: string,
	note: Note,
	signal: AbortSignal,
): Promise<{ readonly pull: Answer; readonly config: Digest | undefined }> {
	try {
		const { value } = await repository.manifest(reference, signal);
		if ('config' in value) return { pull: 'yes', config: value.config.digest };
		const variant = value.manifests[0]?.digest;
		if (variant === undefined || isDigest(reference)) return { pull: 'yes', config: undefined };
		return await tryPull(repository, variant, note, signal);
	} catch (error) {
		if (!isBuildError(error, 'REGISTRY_NOT_FOUND')) throw error;
		const image = `${formatRepository(repository.name)}${isDigest(reference) ? '@' : ':'}${reference}`;
		note(`${image} does not exist, or we may not know of it`);
		return { pull: 'unknown', config: undefined };
	}
}

/** Whether an upload can be begun; it is cancelled at once. Throws what the registry refused with. */
export async function tryPush(remote: RemoteRepository, note: Note, signal: AbortSignal): Promise<Answer> {
	await cancel(remote, await startSession(remote, signal), note);
	return 'yes';
}

/**
 * Whether the registry shares `blob` within itself (distribution-spec v1.1 "mounting"). It is asked for a blob that the repository has
 * already, so that nothing is new afterwards; so what it says without naming the blob cannot be told from a mount.
 */
export async function tryMount(
	remote: RemoteRepository,
	digest: Digest,
	note: Note,
	signal: AbortSignal,
): Promise<Answer> {
	const mounted = await mountBlob(remote, { digest }, remote.name, signal);
	if (mounted === 'unsure') return 'unknown';
	if (mounted === true) return 'yes';
	if (mounted !== undefined) await cancel(remote, mounted, note);
	return 'no';
}

async function cancel(remote: RemoteRepository, { url }: UploadSession, note: Note): Promise<void> {
	const status = await cancelSession(remote, url);
	if (status !== undefined && status >= 200 && status <= 299) return;
	const answer = status === undefined ? 'no answer' : `HTTP ${status}`;
	note(`the registry does not cancel uploads (${answer}); the empty one that was begun expires by itself`);
}

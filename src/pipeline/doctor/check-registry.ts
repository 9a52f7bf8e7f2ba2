import { isEngineLocation, parseImageLocation } from '../../content/location.js';
import { BuildError, isBuildError, messageOf } from '../../errors.js';
import { discard } from '../../http/client.js';
import { type Digest, isDigest } from '../../oci/digest.js';
import { formatRepository, type ImageReference, parseReference, type RepositoryName } from '../../oci/reference.js';
import { redact, redactWord } from '../../redact.js';
import { findCredentials } from '../../registry/credentials.js';
import { mountBlob } from '../../registry/mount.js';
import type { Registries } from '../../registry/registries.js';
import type { Repository } from '../../registry/repository.js';
import type { RemoteRepository } from '../../registry/transport.js';
import { cancelSession, startSession, type UploadSession } from '../../registry/upload-session.js';
import { whatBareMeans } from '../images/bare-name.js';
import { type NetworkRequest, openNetwork } from '../network.js';
import type { FindingCode } from './advice.js';
import type { Answer, RegistryTrial } from './diagnosis.js';

/** What looking at one registry notes down. */
interface Notes {
	readonly reasons: string[];
	readonly findings: Set<FindingCode>;
}

type Rights = Pick<RegistryTrial, 'pull' | 'push' | 'mount'>;

const UNKNOWN: Rights = { pull: 'unknown', push: 'unknown', mount: 'unknown' };
const LIMIT_MS = 60_000;
const TLS = /certificate|self.signed|ERR_TLS|CERT_|UNABLE_TO_|EPROTO|SSL/i;

/** Does `work`; what it fails with is noted down, and `otherwise` stands for it. */
type Attempt = <T>(work: () => Promise<T>, otherwise: T) => Promise<T>;

/**
 * Looks at what `target` names, by what a build does: whether it answers, takes our credentials, and lets us pull, push and mount. Leaves
 * nothing there: an upload that was begun is cancelled. Without retries, within a minute. Rejects only when `outer` is aborted.
 */
export async function tryRegistry(
	target: DoctorTarget,
	request: NetworkRequest,
	outer: AbortSignal,
): Promise<RegistryTrial> {
	const signal = AbortSignal.any([outer, AbortSignal.timeout(LIMIT_MS)]);
	const notes: Notes = { reasons: [], findings: new Set() };
	const attempt: Attempt = async (work, otherwise) => {
		try {
			return await work();
		} catch (error) {
			outer.throwIfAborted();
			note(error, signal, notes);
			return otherwise;
		}
	};
	await using network = openNetwork(request, () => undefined, { attempts: 1 });
	const { registries } = network;
	const name = target.type === 'image' ? target.reference.repository : { registry: target.registry, path: 's2oci' };
	const remote = await attempt(() => registries.reach(name, signal), undefined);
	const asks = remote && (await attempt(() => asksForLogin(remote, signal), undefined));
	const login = await attempt(() => whoWeAre(name, request, signal), { user: undefined, source: '' });
	const reachable = remote !== undefined && asks !== undefined;
	const accepted = reachable ? await attempt(() => tryLogin(remote, asks, signal), 'no') : 'unknown';
	const rights = reachable ? await tryRights(target, registries, remote, { attempt, notes }, signal) : UNKNOWN;
	const ok = reachable && isUsable(target, accepted, rights, notes);
	if (!ok && 'bare' in target) notes.reasons.push(whatBareMeans(target.bare));
	const [reasons, findings] = [[...new Set(notes.reasons)], [...notes.findings]];
	return { name: redact(target.name), reachable, login: { ...login, accepted }, ...rights, reasons, findings, ok };
}

async function tryRights(
	target: DoctorTarget,
	registries: Registries,
	remote: RemoteRepository,
	{ attempt, notes }: { readonly attempt: Attempt; readonly notes: Notes },
	signal: AbortSignal,
): Promise<Rights> {
	if (target.type === 'registry') return UNKNOWN;
	const { digest, tag = 'latest' } = target.reference;
	const tell = (reason: string) => void notes.reasons.push(reason);
	const pulling = () => tryPull(registries.open(remote.name), digest ?? tag, tell, signal);
	const { pull, config } = await attempt(pulling, { pull: 'no', config: undefined });
	const push = await attempt(() => tryPush(remote, tell, signal), 'no');
	const canMount = push === 'yes' && config !== undefined;
	const mount = canMount ? await attempt(() => tryMount(remote, config, tell, signal), 'unknown') : 'unknown';
	return { pull, push, mount };
}

/** An image that is not there yet can be a target, one that may not be written a builder. */
function isUsable(target: DoctorTarget, accepted: Answer, rights: Rights, notes: Notes): boolean {
	const usable = target.type === 'registry' || rights.pull === 'yes' || rights.push === 'yes';
	if (!usable && notes.findings.size === 0) notes.findings.add('REGISTRY_RIGHTS');
	return usable && accepted !== 'no';
}

function note(error: unknown, signal: AbortSignal, { reasons, findings }: Notes): void {
	const hint = isBuildError(error) && error.hint !== undefined ? ` (${error.hint})` : '';
	reasons.push(signal.aborted ? 'it did not answer in time' : redact(`${messageOf(error)}${hint}`).slice(0, 600));
	findings.add(findingOf(error));
}

function findingOf(error: unknown): FindingCode {
	if (isBuildError(error, 'REGISTRY_UNAUTHORIZED', 'CREDENTIALS_INVALID')) return 'REGISTRY_LOGIN';
	if (isBuildError(error, 'REGISTRY_DENIED', 'REGISTRY_NOT_FOUND')) return 'REGISTRY_RIGHTS';
	return TLS.test(messageOf(error)) ? 'REGISTRY_TLS' : 'REGISTRY_UNREACHABLE';
}

/** Rejects when the registry cannot be reached at all. */
async function asksForLogin({ endpoint, send }: RemoteRepository, signal: AbortSignal): Promise<boolean> {
	const response = await send({ method: 'GET', url: new URL('/v2/', endpoint) }, signal);
	discard(response);
	return response.status === 401;
}

async function whoWeAre(
	name: RepositoryName,
	request: NetworkRequest,
	signal: AbortSignal,
): Promise<Omit<RegistryTrial['login'], 'accepted'>> {
	const { credentials, source } = await findCredentials(name, request, signal);
	const user = credentials?.type === 'basic' ? redact(credentials.username) : credentials && 'an identity token';
	return { user, source: redact(source) };
}

async function tryLogin(
	{ name: repository, endpoint, send }: RemoteRepository,
	asks: boolean,
	signal: AbortSignal,
): Promise<Answer> {
	if (!asks) return 'unknown';
	const access = { repository, actions: 'pull' } as const;
	const response = await send({ method: 'GET', url: new URL('/v2/', endpoint), access }, signal);
	discard(response);
	return response.status === 200 ? 'yes' : 'unknown';
}

/** Takes what is worth telling although nothing failed. */
type Note = (reason: string) => void;

/**
 * Whether what `reference` names can be pulled, and a blob that is there then. An image that does not exist is `unknown`. Throws what the
 * registry refused with.
 */
async function tryPull(
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
async function tryPush(remote: RemoteRepository, note: Note, signal: AbortSignal): Promise<Answer> {
	await cancel(remote, await startSession(remote, signal), note);
	return 'yes';
}

/**
 * Whether the registry shares `blob` within itself (distribution-spec v1.1 "mounting"). It is asked for a blob that the repository has
 * already, so that nothing is new afterwards; so what it says without naming the blob cannot be told from a mount.
 */
async function tryMount(remote: RemoteRepository, digest: Digest, note: Note, signal: AbortSignal): Promise<Answer> {
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

/** A registry, or an image on one, to be looked at. `bare` is the name of an image that names no registry. */
export type DoctorTarget =
	| { readonly type: 'registry'; readonly name: string; readonly registry: string }
	| { readonly type: 'image'; readonly name: string; readonly reference: ImageReference; readonly bare?: string };

const HOST = /^(?:[a-z0-9.-]+\.[a-z0-9-]+|localhost|\[[0-9a-f:]+\])(?::\d{1,5})?$|^[a-z0-9.-]+:\d{1,5}$/i;

/**
 * `text` as an image, or as a registry: `localhost`, or a host with a dot or a port. Throws USAGE for images in files and in local engines,
 * and REFERENCE_INVALID.
 */
export function parseTarget(text: string): DoctorTarget {
	const bare = text.replace(/^(?:https?|docker):\/\//, '');
	const host = bare.replace(/\/$/, '');
	if (HOST.test(host)) {
		const { repository } = parseReference(`${host}/s2oci`);
		return { type: 'registry', name: host, registry: repository.registry };
	}
	const location = parseImageLocation(text);
	if (location.type === 'registry') return { ...location, type: 'image', name: bare };
	const where = isEngineLocation(location) ? 'in a local engine' : 'in a file or directory';
	const message = `${JSON.stringify(redactWord(text).slice(0, 200))} is neither a registry nor an image on one, but an image ${where}`;
	throw new BuildError('USAGE', message, {
		hint: 'Leave it out: this host is looked at without it. Whether such a builder can be read and run here, s2oci usage IMAGE shows.',
	});
}

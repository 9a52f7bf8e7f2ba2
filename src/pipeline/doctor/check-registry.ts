import { isBuildError, messageOf } from '../../errors.js';
import { discard } from '../../http/client.js';
import type { RepositoryName } from '../../oci/reference.js';
import { redact } from '../../redact.js';
import { findCredentials } from '../../registry/credentials.js';
import type { Registries } from '../../registry/registries.js';
import type { RemoteRepository } from '../../registry/remote-repository.js';
import { whatBareMeans } from '../images/bare-name.js';
import { type NetworkRequest, openNetwork } from '../network.js';
import type { FindingCode } from './advice.js';
import type { Answer, RegistryTrial } from './diagnosis.js';
import { tryMount, tryPull, tryPush } from './rights.js';
import type { DoctorTarget } from './target.js';

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
	const name = repositoryOf(target);
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

function repositoryOf(target: DoctorTarget): RepositoryName {
	return target.type === 'image' ? target.reference.repository : { registry: target.registry, path: 's2oci' };
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

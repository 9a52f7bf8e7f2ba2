import { isBuildError, messageOf } from '../../errors.js';
import type { RepositoryName } from '../../oci/reference.js';
import { redact } from '../../redact.js';
import { authorize } from '../../registry/auth.js';
import { findCredentials } from '../../registry/credentials.js';
import { findEndpoints } from '../../registry/endpoint.js';
import { matchHosts } from '../../registry/hosts.js';
import { followRedirects } from '../../registry/redirect.js';
import { discard, openTransport, type Transport } from '../../registry/transport.js';
import { VERSION } from '../../version.js';
import type { HostRequest } from '../request.js';
import type { Answer, RegistryTrial } from './diagnosis.js';
import type { FindingCode } from './finding-code.js';
import { tryMount, tryPull, tryPush } from './rights.js';
import type { DoctorTarget } from './target.js';

/** The part of a request that says how registries are reached. */
export type RegistryAccess = Pick<HostRequest, 'env' | 'dockerConfig' | 'insecureRegistries' | 'caBundle'>;

/** What looking at one registry notes down. */
interface Notes {
	readonly reasons: string[];
	readonly findings: Set<FindingCode>;
}

const LIMIT_MS = 60_000;
const TLS = /certificate|self.signed|ERR_TLS|CERT_|UNABLE_TO_|EPROTO|SSL/i;

/**
 * Looks at what `target` names: whether it answers, takes our credentials, and lets us pull, push and mount. Leaves nothing there: an upload
 * that was begun is cancelled. Without retries, within a minute. Rejects only when `outer` is aborted.
 */
export async function tryRegistry(
	target: DoctorTarget,
	access: RegistryAccess,
	outer: AbortSignal,
): Promise<RegistryTrial> {
	const signal = AbortSignal.any([outer, AbortSignal.timeout(LIMIT_MS)]);
	const notes: Notes = { reasons: [], findings: new Set() };
	const insecure = matchHosts(access.insecureRegistries);
	const transport = openTransport({ ...access, insecure, userAgent: `s2oci/${VERSION}` });
	const attempt = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
		try {
			return await work();
		} catch (error) {
			outer.throwIfAborted();
			note(error, signal, notes);
			return otherwise;
		}
	};
	try {
		const hop = followRedirects(transport.send);
		const find = ({ repository }: { readonly repository: RepositoryName }) =>
			findCredentials(repository, access, signal);
		const send = authorize({ find, send: hop })(hop);
		const name = repositoryOf(target);
		const endpoint = await attempt(() => findEndpoints(insecure, transport.send)(name.registry, signal), undefined);
		const asks = endpoint && (await attempt(() => asksForLogin(endpoint, hop, signal), undefined));
		const login = await attempt(() => whoWeAre(name, access, signal), { user: undefined, source: '' });
		if (endpoint === undefined || asks === undefined) return unreachable(target, login, notes);
		const accepted = await attempt(() => tryLogin(endpoint, name, asks, send, signal), 'no' as const);
		const rights = await tryRights(
			target,
			{ name, endpoint, send, note: (why) => void notes.reasons.push(why) },
			attempt,
			signal,
		);
		return conclude(target, { ...login, accepted }, rights, notes);
	} finally {
		await transport.close();
	}
}

type Rights = Pick<RegistryTrial, 'pull' | 'push' | 'mount'>;

async function tryRights(
	target: DoctorTarget,
	context: Parameters<typeof tryPush>[0],
	attempt: <T>(work: () => Promise<T>, otherwise: T) => Promise<T>,
	signal: AbortSignal,
): Promise<Rights> {
	if (target.type === 'registry') return { pull: 'unknown', push: 'unknown', mount: 'unknown' };
	const { reference } = target;
	const pulled = await attempt(() => tryPull(context, reference.digest ?? reference.tag ?? 'latest', signal), {
		pull: 'no' as const,
		config: undefined,
	});
	const push = await attempt(() => tryPush(context, signal), 'no' as const);
	const { config } = pulled;
	const canMount = push === 'yes' && config !== undefined;
	const mount = canMount ? await attempt(() => tryMount(context, config, signal), 'unknown' as const) : 'unknown';
	return { pull: pulled.pull, push, mount };
}

/** An image that is not there yet can be a target, one that may not be written a builder. */
function conclude(target: DoctorTarget, login: RegistryTrial['login'], rights: Rights, notes: Notes): RegistryTrial {
	const usable = target.type === 'registry' || rights.pull === 'yes' || rights.push === 'yes';
	if (!usable && notes.findings.size === 0) notes.findings.add('REGISTRY_RIGHTS');
	const ok = usable && login.accepted !== 'no';
	return { ...begin(target, notes), reachable: true, login, ...rights, ok };
}

function unreachable(
	target: DoctorTarget,
	login: Omit<RegistryTrial['login'], 'accepted'>,
	notes: Notes,
): RegistryTrial {
	const unknown: Answer = 'unknown';
	const answers = { pull: unknown, push: unknown, mount: unknown };
	return { ...begin(target, notes), reachable: false, login: { ...login, accepted: unknown }, ...answers, ok: false };
}

function begin(
	{ name }: DoctorTarget,
	{ reasons, findings }: Notes,
): Pick<RegistryTrial, 'name' | 'reasons' | 'findings'> {
	return { name: redact(name), reasons: [...new Set(reasons)], findings: [...findings] };
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
async function asksForLogin(endpoint: URL, send: Transport, signal: AbortSignal): Promise<boolean> {
	const response = await send({ method: 'GET', url: new URL('/v2/', endpoint) }, signal);
	discard(response);
	return response.status === 401;
}

async function whoWeAre(
	name: RepositoryName,
	access: RegistryAccess,
	signal: AbortSignal,
): Promise<Omit<RegistryTrial['login'], 'accepted'>> {
	const { credentials, source } = await findCredentials(name, access, signal);
	const user = credentials?.type === 'basic' ? redact(credentials.username) : credentials && 'an identity token';
	return { user, source: redact(source) };
}

async function tryLogin(
	endpoint: URL,
	repository: RepositoryName,
	asks: boolean,
	send: Transport,
	signal: AbortSignal,
): Promise<Answer> {
	if (!asks) return 'unknown';
	const access = { repository, actions: 'pull' } as const;
	const response = await send({ method: 'GET', url: new URL('/v2/', endpoint), access }, signal);
	discard(response);
	return response.status === 200 ? 'yes' : 'unknown';
}

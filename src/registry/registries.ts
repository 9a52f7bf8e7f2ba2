import { isBuildError } from '../errors.js';
import { isLoopback } from '../http/address.js';
import { type ClientOptions, discard, openClient } from '../http/client.js';
import { followRedirects } from '../http/redirect.js';
import { formatRepository, type RepositoryName } from '../oci/reference.js';
import { redact } from '../redact.js';
import { type AuthOptions, authorize } from './auth.js';
import { type FoundCredentials, findCredentials, type GivenCredentials } from './credentials.js';
import { type Known, openRepository, type Repository } from './repository.js';
import { retry } from './retry.js';
import {
	type Access,
	type Middleware,
	REGISTRY,
	type RemoteRepository,
	type RetryOptions,
	type Transport,
} from './transport.js';
import { cancelSession } from './upload-session.js';

/** Gives access to one repository. */
export type OpenRepository = (name: RepositoryName) => Repository;

/** Access to all registries: connections and tokens are shared. */
export interface Registries {
	readonly open: OpenRepository;
	/** The way to one repository, which {@link open} is made of: for those who look at the registry itself. */
	readonly reach: (name: RepositoryName, signal: AbortSignal) => Promise<RemoteRepository>;
	/** Ends all connections. */
	close(): Promise<void>;
}

/** `insecureRegistries` as in `HostRequest`. */
export interface RegistryOptions extends RetryOptions, ClientOptions {
	/** Path of the one file of credentials that counts; the usual places when undefined. */
	readonly dockerConfig?: string | undefined;
	/** What was given for what a request does; it counts before the usual places. */
	readonly given?: (access: Access) => GivenCredentials | undefined;
	readonly insecureRegistries: readonly string[];
	readonly onWarning?: OnWarning;
	/** Told once for each registry that is given the credentials of a CI job. */
	readonly onJobCredentials?: (told: { readonly host: string; readonly source: string }) => void;
}

/** Opens the way to registries; nothing is read or sent before a repository is used. */
export function openRegistries(options: RegistryOptions): Registries {
	const insecure = matchHosts(options.insecureRegistries);
	const client = openClient(options, REGISTRY, insecure);
	const { onWarning = () => undefined } = options;
	const hop = followRedirects(tellWarnings(onWarning)(client.send), REGISTRY);
	const repeating = retry(options);
	const auth = authorize({ ...findOnce(options), send: repeating(hop) });
	const send = repeating(auth(hop));
	const findEndpoint = findEndpoints(insecure, client.send);
	const known: Known = { names: new WeakMap(), habits: new Map(), opened: new Map() };
	const reach: Registries['reach'] = async (name, signal) => {
		return { name, endpoint: await findEndpoint(name.registry, signal), send, retry: options };
	};
	return {
		reach,
		open: (name) => openRepository(name, (signal) => reach(name, signal), known),
		close: async () => {
			await Promise.all([...known.opened.values()].map(({ remote, session }) => cancelSession(remote, session.url)));
			await client.close();
		},
	};
}

/** Credential helpers may take a second, and every scope asks anew. A look-up that failed or was aborted is not kept. */
function findOnce(options: RegistryOptions): Required<Pick<AuthOptions, 'find' | 'forget'>> {
	const found = new Map<string, Promise<FoundCredentials>>();
	const told = new Set<string>();
	const tell = (host: string, source: string) => {
		if (!told.has(host)) options.onJobCredentials?.({ host, source });
		told.add(host);
	};
	const keyOf = (access: Access, given = options.given?.(access)) =>
		`${formatRepository(access.repository)} ${given?.source ?? ''}`;
	return {
		forget: (access) => void found.delete(keyOf(access)),
		find: (access, signal) => {
			const { repository } = access;
			const given = options.given?.(access);
			const key = keyOf(access, given);
			const known = found.get(key);
			if (known !== undefined) return known;
			const finding = findCredentials(repository, { ...options, given }, signal);
			found.set(key, finding);
			finding.then(
				({ ofJob, source }) => ofJob === true && tell(repository.registry, source),
				() => found.delete(key),
			);
			return finding;
		},
	};
}

/** What the registry `host` wants the user to know. */
type OnWarning = (warning: { readonly host: string; readonly text: string }) => void;

const MAX_HEADER = 4096;
const MAX_TEXT = 300;
const MAX_WARNINGS = 10;
/** `299 - "text"` (distribution-spec v1.1 "Warnings"; RFC 7234 5.5); other codes and agents are those of caches. */
const WARNING = /(?<![^\s,])299[\t ]+-[\t ]+"((?:[^"\\]|\\.)*)"/g;

/**
 * Passes on what registries say in Warning headers, each text once for each registry, at most ten of them. Redirected requests and those to
 * token servers carry no `access`: what storage and proxies of others say is not the registry's word.
 */
export function tellWarnings(onWarning: OnWarning): Middleware {
	const told = new Map<string, Set<string>>();
	return (next) => async (request, signal) => {
		const response = await next(request, signal);
		const header = response.headers['warning'];
		if (request.access === undefined || header === undefined) return response;
		const { host } = request.url;
		const texts = told.get(host) ?? new Set();
		told.set(host, texts);
		for (const text of parseWarnings(header)) {
			if (texts.has(text) || texts.size >= MAX_WARNINGS) continue;
			texts.add(text);
			onWarning({ host, text });
		}
		return response;
	};
}

/** The texts of a Warning header, redacted, on one line, each of at most 300 characters; of a header over 4096 bytes its beginning. */
export function parseWarnings(header: string): readonly string[] {
	return [...header.slice(0, MAX_HEADER).matchAll(WARNING)]
		.map(([, quoted = '']) => redact(quoted.replace(/\\(.)/gs, '$1')).replace(/\s+/g, ' ').trim().slice(0, MAX_TEXT))
		.filter((text) => text !== '');
}

/** A predicate for URLs whose host and port are among `registries` (`host` or `host:port`, exactly). */
export function matchHosts(registries: readonly string[]): (url: URL) => boolean {
	const urls = registries.flatMap((registry) =>
		['http:', 'https:'].map((protocol) => `${protocol}//${apiHost(registry)}`),
	);
	const origins = new Set(urls.filter((url) => URL.canParse(url)).map((url) => new URL(url).origin));
	return (url) => origins.has(url.origin);
}

/** Docker Hub's API is at another host than its name. */
function apiHost(registry: string): string {
	return registry === 'docker.io' ? 'registry-1.docker.io' : registry;
}

/**
 * Finds the base URL of a registry's API, once for each. Registries are spoken to over https; those of this machine over http; those that `insecure` allows over https without verified
 * certificates when they answer it, else over http. The choice holds for exactly that host and port (CVE-2019-10214).
 */
function findEndpoints(insecure: (url: URL) => boolean, send: Transport) {
	const found = new Map<string, Promise<URL>>();
	return async (registry: string, signal: AbortSignal): Promise<URL> => {
		const url = new URL(`https://${apiHost(registry)}`);
		if (!insecure(url)) return isLoopback(url) ? new URL(`http://${registry}`) : url;
		const endpoint = found.get(registry) ?? probe(url, registry, send, signal);
		found.set(registry, endpoint);
		try {
			return await endpoint;
		} catch (error) {
			found.delete(registry);
			throw error;
		}
	};
}

async function probe(url: URL, registry: string, send: Transport, signal: AbortSignal): Promise<URL> {
	try {
		discard(await send({ method: 'GET', url: new URL('/v2/', url) }, signal));
		return url;
	} catch (error) {
		if (!isBuildError(error, 'REGISTRY_UNREACHABLE')) throw error;
		return new URL(`http://${registry}`);
	}
}

import type { ImageSource } from '../content/blob.js';
import { formatRepository, type RepositoryName } from '../oci/reference.js';
import { type AuthOptions, authorize } from './auth.js';
import { type FoundCredentials, findCredentials } from './credentials.js';
import { findEndpoints } from './endpoint.js';
import { matchHosts } from './hosts.js';
import { followRedirects } from './redirect.js';
import { openRepository, type Repository } from './repository.js';
import { type RetryOptions, retry } from './retry.js';
import { openTransport } from './transport.js';

/** Gives access to one repository. */
export type OpenRepository = (name: RepositoryName) => Repository;

/** Access to all registries: connections and tokens are shared. */
export interface Registries {
	readonly open: OpenRepository;
	/** Ends all connections. */
	close(): Promise<void>;
}

/** `insecureRegistries` as in `HostRequest`; `caBundle` is the path of a PEM file that is trusted in addition. */
export interface RegistryOptions extends RetryOptions {
	/** Where credentials and proxies are looked up. */
	readonly env: Readonly<Record<string, string | undefined>>;
	/** Path of the one file of credentials that counts; the usual places when undefined. */
	readonly dockerConfig?: string | undefined;
	readonly insecureRegistries: readonly string[];
	readonly caBundle: string | undefined;
	/** For example `s2oci/1.2.3`. */
	readonly userAgent: string;
}

/** Opens the way to registries; nothing is read or sent before a repository is used. */
export function openRegistries(options: RegistryOptions): Registries {
	const insecure = matchHosts(options.insecureRegistries);
	const transport = openTransport({ ...options, insecure });
	const hop = followRedirects(transport.send);
	const repeating = retry(options);
	const auth = authorize({ find: findOnce(options), send: repeating(hop) });
	const send = repeating(auth(hop));
	const findEndpoint = findEndpoints(insecure, transport.send);
	const names = new WeakMap<ImageSource, RepositoryName>();
	return {
		open: (name) => {
			const endpoint = (signal: AbortSignal): Promise<URL> => findEndpoint(name.registry, signal);
			const nameOf = (source: ImageSource): RepositoryName | undefined => names.get(source);
			const repository = openRepository(name, { endpoint, send, retry: options, nameOf });
			names.set(repository, name);
			return repository;
		},
		close: () => transport.close(),
	};
}

/** Credential helpers may take a second, and every scope asks anew. A lookup that failed or was aborted is not kept. */
function findOnce(options: RegistryOptions): AuthOptions['find'] {
	const found = new Map<string, Promise<FoundCredentials>>();
	return ({ repository }, signal) => {
		const key = formatRepository(repository);
		const known = found.get(key);
		if (known !== undefined) return known;
		const finding = findCredentials(repository, options, signal);
		found.set(key, finding);
		finding.catch(() => found.delete(key));
		return finding;
	};
}

import type { LookupFunction } from 'node:net';
import type { ImageSource } from '../content/blob.js';
import { formatRepository, type RepositoryName } from '../oci/reference.js';
import { type AuthOptions, authorize } from './auth.js';
import { type FoundCredentials, findCredentials } from './credentials.js';
import { findEndpoints } from './endpoint.js';
import { matchHosts } from './hosts.js';
import { followRedirects } from './redirect.js';
import { type OpenedSession, openRepository, type Repository } from './repository.js';
import { type RetryOptions, retry } from './retry.js';
import { openTransport } from './transport.js';
import { type Habits, UNKNOWN_HABITS } from './upload-plan.js';
import { cancelSession } from './upload-session.js';
import { type OnWarning, tellWarnings } from './warnings.js';

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
	readonly onWarning?: OnWarning;
	/** In place of the system's, for tests. */
	readonly lookup?: LookupFunction;
}

/** Opens the way to registries; nothing is read or sent before a repository is used. */
export function openRegistries(options: RegistryOptions): Registries {
	const insecure = matchHosts(options.insecureRegistries);
	const transport = openTransport({ ...options, insecure });
	const { onWarning = () => undefined } = options;
	const hop = followRedirects(tellWarnings(onWarning)(transport.send));
	const repeating = retry(options);
	const auth = authorize({ ...findOnce(options), send: repeating(hop) });
	const send = repeating(auth(hop));
	const findEndpoint = findEndpoints(insecure, transport.send);
	const names = new WeakMap<ImageSource, RepositoryName>();
	const opened = new Map<string, OpenedSession>();
	const habits = new Map<string, Habits>();
	return {
		open: (name) => {
			const endpoint = (signal: AbortSignal): Promise<URL> => findEndpoint(name.registry, signal);
			const nameOf = (source: ImageSource): RepositoryName | undefined => names.get(source);
			const known = {
				habits: () => habits.get(name.registry) ?? UNKNOWN_HABITS,
				learned: (learned: Habits) => void habits.set(name.registry, learned),
				opened,
			};
			const repository = openRepository(name, { endpoint, send, retry: options, nameOf, ...known });
			names.set(repository, name);
			return repository;
		},
		close: async () => {
			await Promise.all([...opened.values()].map(({ target, session }) => cancelSession(target, session.url)));
			await transport.close();
		},
	};
}

/** Credential helpers may take a second, and every scope asks anew. A look-up that failed or was aborted is not kept. */
function findOnce(options: RegistryOptions): Required<Pick<AuthOptions, 'find' | 'forget'>> {
	const found = new Map<string, Promise<FoundCredentials>>();
	return {
		forget: ({ repository }) => void found.delete(formatRepository(repository)),
		find: ({ repository }, signal) => {
			const key = formatRepository(repository);
			const known = found.get(key);
			if (known !== undefined) return known;
			const finding = findCredentials(repository, options, signal);
			found.set(key, finding);
			finding.catch(() => found.delete(key));
			return finding;
		},
	};
}

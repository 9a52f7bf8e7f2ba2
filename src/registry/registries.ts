import { type ClientOptions, openClient } from '../http/client.js';
import { followRedirects } from '../http/redirect.js';
import { formatRepository, type RepositoryName } from '../oci/reference.js';
import { type AuthOptions, authorize } from './auth.js';
import { type FoundCredentials, findCredentials } from './credentials.js';
import { findEndpoints, matchHosts } from './endpoint.js';
import type { Remote } from './remote.js';
import { type Known, openRepository, type Repository } from './repository.js';
import { type RetryOptions, retry } from './retry.js';
import { REGISTRY } from './transport.js';
import { cancelSession } from './upload-session.js';
import { type OnWarning, tellWarnings } from './warnings.js';

/** Gives access to one repository. */
export type OpenRepository = (name: RepositoryName) => Repository;

/** Access to all registries: connections and tokens are shared. */
export interface Registries {
	readonly open: OpenRepository;
	/** The way to one repository, which {@link open} is made of: for those who look at the registry itself. */
	readonly reach: (name: RepositoryName, signal: AbortSignal) => Promise<Remote>;
	/** Ends all connections. */
	close(): Promise<void>;
}

/** `insecureRegistries` as in `HostRequest`. */
export interface RegistryOptions extends RetryOptions, ClientOptions {
	/** Path of the one file of credentials that counts; the usual places when undefined. */
	readonly dockerConfig?: string | undefined;
	readonly insecureRegistries: readonly string[];
	readonly onWarning?: OnWarning;
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

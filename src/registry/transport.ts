import { isBuildError } from '../errors.js';
import type { HttpRequest, Send } from '../http/client.js';
import type { Policy } from '../http/policy.js';
import { namerOf } from '../http/redirect.js';
import type { RepositoryName } from '../oci/reference.js';

/** What a request wants to do in which repository: decides the token scope and the credentials. `from` is the source of a mount. */
export interface Access {
	readonly repository: RepositoryName;
	readonly actions: 'pull' | 'pull,push' | 'delete';
	readonly from?: RepositoryName;
}

/** A request to a registry. */
export interface RegistryRequest extends HttpRequest {
	/** Undefined means: never send credentials. */
	readonly access?: Access | undefined;
	/** How often it may be sent in all when that fails; undefined is {@link ATTEMPTS} for GET and HEAD, and once for any other. */
	readonly tries?: number;
}

/** Sends one request. Rejects with REGISTRY_UNREACHABLE when there is no response, with `signal.reason` when aborted. */
export type Transport = Send<RegistryRequest>;
/** A step around a transport: retry, warnings, authorization. */
export type Middleware = (next: Transport) => Transport;

/** How often a request is tried in all. */
export const ATTEMPTS = 5;

/** For registries, their token servers and their storage. */
export const REGISTRY: Policy = {
	failed: 'REGISTRY_UNREACHABLE',
	refused: 'REGISTRY_REFUSED',
	maxRedirects: 10,
	repairs: true,
	hints: {
		redirect: 'Ask who runs the registry to correct its external URL (http.host, X-Forwarded-Proto).',
		circle: 'The registry or a proxy redirects in a circle; ask who runs it.',
		tls: 'Give the certificate authority with --ca-bundle; for a test registry without valid TLS, name it with --insecure-registry.',
	},
};

/** A request is about to be repeated after `afterMs`; `attempt` is the number of the attempt that failed, from 1. */
type OnRetry = (retry: {
	readonly what: string;
	readonly attempt: number;
	readonly afterMs: number;
	readonly reason: string;
}) => void;

/** How to wait between attempts. `sleep` and `random` (0 to 1) exist so that time and chance can be given. */
export interface RetryOptions {
	readonly onRetry?: OnRetry;
	/** How often any request is sent at the most. */
	readonly attempts?: number;
	readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
	readonly random?: () => number;
}

/** One repository on its registry, and how that is spoken to. */
export interface RemoteRepository {
	readonly name: RepositoryName;
	/** Base URL of the registry's API. */
	readonly endpoint: URL;
	readonly send: Transport;
	readonly retry: RetryOptions;
}

/** A request to a path below the repository, or to where its registry led; another host than the registry's gets no credentials. */
export function requestTo(
	{ name, endpoint }: RemoteRepository,
	method: RegistryRequest['method'],
	to: string | URL,
	actions: Access['actions'],
): RegistryRequest {
	const url = typeof to === 'string' ? new URL(`/v2/${name.path}/${to}`, endpoint) : to;
	const access = url.origin === endpoint.origin ? { repository: name, actions } : undefined;
	return { method, url, access, namedBy: namerOf(endpoint, url) };
}

/** What `ask` resolves with, or undefined where it fails with a BuildError: for what saves work, and is not needed. */
export async function ifPossible<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T | undefined> {
	try {
		return await ask();
	} catch (error) {
		signal.throwIfAborted();
		if (isBuildError(error)) return undefined;
		throw error;
	}
}

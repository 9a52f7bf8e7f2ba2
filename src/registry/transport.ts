import type { HttpRequest, Send } from '../http/client.js';
import type { Policy } from '../http/policy.js';
import { resolveLocation } from '../http/redirect.js';
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

/** {@link resolveLocation} for what registries send. Throws REGISTRY_REFUSED. */
export function resolveHop(from: URL, location: string): URL {
	return resolveLocation(from, location, REGISTRY);
}

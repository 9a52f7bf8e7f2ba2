import { isBuildError } from '../errors.js';
import { isLoopback } from '../http/address.js';
import { discard } from '../http/client.js';
import type { Transport } from './transport.js';

/** The base URL of a registry's API, found out once for each registry. */
export type FindEndpoint = (registry: string, signal: AbortSignal) => Promise<URL>;

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
 * Registries are spoken to over https; those of this machine over http; those that `insecure` allows over https without verified
 * certificates when they answer it, else over http. The choice holds for exactly that host and port (CVE-2019-10214).
 */
export function findEndpoints(insecure: (url: URL) => boolean, send: Transport): FindEndpoint {
	const found = new Map<string, Promise<URL>>();
	return async (registry, signal) => {
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

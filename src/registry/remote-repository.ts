import { isBuildError } from '../errors.js';
import { namerOf } from '../http/redirect.js';
import type { RepositoryName } from '../oci/reference.js';
import type { RetryOptions } from './retry.js';
import type { Access, RegistryRequest, Transport } from './transport.js';

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

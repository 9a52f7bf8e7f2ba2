import { type Http, openHttp } from '../http/http.js';
import { formatRepository } from '../oci/reference.js';
import { openRegistries, type Registries, type RegistryOptions } from '../registry/registries.js';
import type { Access } from '../registry/transport.js';
import { VERSION } from '../version.js';
import type { Emit } from './events.js';
import type { HostRequest, ImageCredentials } from './request.js';

/** The part of a request that says how hosts are reached. */
export type NetworkRequest = Pick<
	HostRequest,
	'env' | 'caBundle' | 'dockerConfig' | 'imageCredentials' | 'insecureRegistries' | 'namedBy'
>;

/** The way to all other hosts. Disposing it ends all connections. */
export interface Network extends AsyncDisposable {
	readonly registries: Registries;
	/** For what is neither an image nor a git repository. */
	readonly http: Http;
}

/** Opens the network; nothing is read or sent before it is used. What is told of registries becomes events. */
export function openNetwork(
	{ env, caBundle, dockerConfig, imageCredentials = [], insecureRegistries, namedBy }: NetworkRequest,
	emit: Emit,
	limits: Pick<RegistryOptions, 'attempts'> = {},
): Network {
	const shared = { env, caBundle, userAgent: `s2oci/${VERSION}` };
	const registries = openRegistries({
		...shared,
		...limits,
		dockerConfig,
		given: (access) => credentialsFor(access, imageCredentials),
		insecureRegistries,
		onRetry: (retry) => emit({ type: 'retry', ...retry }),
		onJobCredentials: ({ host, source }) =>
			emit({ type: 'log', level: 1, message: `credentials for ${host}: ${source}, since no file has an entry for it` }),
		onWarning: ({ host, text }) => emit({ type: 'warning', code: 'REGISTRY', message: `${host} says: ${text}` }),
	});
	const http = openHttp({ ...shared, namedBy });
	return {
		registries,
		http,
		[Symbol.asyncDispose]: async () => {
			await Promise.all([registries.close(), http.close()]);
		},
	};
}

/** What is pushed may be read with the same: to see whether it is there, and for the artifacts of the last build. */
function credentialsFor(
	{ repository, actions }: Access,
	all: readonly ImageCredentials[],
): ImageCredentials | undefined {
	const name = formatRepository(repository);
	const own = all.filter(({ images }) =>
		images.some((image) => image.type === 'registry' && formatRepository(image.reference.repository) === name),
	);
	const push = own.find(({ use }) => use === 'push');
	return actions === 'pull' ? (own.find(({ use }) => use === 'pull') ?? push) : push;
}

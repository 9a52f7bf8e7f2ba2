import { type EnvironmentVariable, mergeEnvironment } from './environment.js';

/** What the environment of assemble is made from. */
export interface AssembleEnvironmentInput {
	/** ENV of the builder image, PATH included. */
	readonly image: Readonly<Record<string, string>>;
	/** `.s2i/environment` and `-e`, in order. */
	readonly environment: readonly EnvironmentVariable[];
	/** Home directory of the assemble user. */
	readonly home: string;
	/** Seconds since 1970. */
	readonly epoch: number;
	/** Where the CA bundle is inside the container; undefined when there is none. */
	readonly caBundle: string | undefined;
	/** The environment of s2oci itself: only proxy settings are taken from it. */
	readonly host: Readonly<Record<string, string | undefined>>;
}

const CA_VARIABLES = [
	'SSL_CERT_FILE',
	'NODE_EXTRA_CA_CERTS',
	'PIP_CERT',
	'REQUESTS_CA_BUNDLE',
	'CURL_CA_BUNDLE',
	'GIT_SSL_CAINFO',
];
const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY'];

/**
 * The environment of the assemble process: the image's ENV, over it the build's, and below both what only this run needs: HOME,
 * SOURCE_DATE_EPOCH, TZ, CA bundle and proxies. What only this run needs is never written to the image.
 */
export function assembleEnvironment(input: AssembleEnvironmentInput): Readonly<Record<string, string>> {
	const build = Object.fromEntries(mergeEnvironment(input.environment).map(({ name, value }) => [name, value]));
	const inImage = { ...input.image, ...build };
	const { caBundle } = input;
	const certificates = caBundle === undefined ? [] : CA_VARIABLES.map((name) => [name, caBundle] as const);
	return {
		HOME: input.home,
		SOURCE_DATE_EPOCH: String(input.epoch),
		TZ: 'UTC',
		...Object.fromEntries([...certificates, ...proxyVariables(input.host, inImage)]),
		...inImage,
	};
}

/** A proxy that the image or the build sets in either case is theirs in both: programs disagree on which case they read. */
function proxyVariables(
	host: AssembleEnvironmentInput['host'],
	inImage: Readonly<Record<string, string>>,
): readonly (readonly [string, string])[] {
	return PROXY_VARIABLES.flatMap((name) => {
		const names = [name, name.toLowerCase()];
		if (names.some((each) => each in inImage)) return [];
		return names.flatMap((each) => (host[each] ? [[each, host[each]] as const] : []));
	});
}

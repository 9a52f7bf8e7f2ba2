import { checkEnvironmentSize, type EnvironmentVariable, mergeEnvironment } from './environment.js';

/** What the environment of assemble is made from. */
export interface AssembleEnvironmentInput {
	/** ENV of the builder image, PATH included. */
	readonly image: Readonly<Record<string, string>>;
	/** `.s2i/environment`, `-e` and `-E`, in order: what the image gets too. */
	readonly environment: readonly EnvironmentVariable[];
	/** `--build-env`, in order: wins over all else here and is in no image. */
	readonly buildEnvironment?: readonly EnvironmentVariable[];
	/** Whether artifacts of an earlier build were restored. */
	readonly incremental?: boolean;
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
 * The environment of the assemble process: the image's ENV, over it the build's, over that `--build-env`, and below all what only
 * this run needs: HOME, SOURCE_DATE_EPOCH, TZ, CA bundle and proxies. `S2I_INCREMENTAL=true` tells that there are artifacts to
 * restore. What only this run needs is never written to the image. Throws USAGE
 * when all of it together is too large for a process.
 */
export function assembleEnvironment(input: AssembleEnvironmentInput): Readonly<Record<string, string>> {
	const { caBundle, incremental = false, buildEnvironment = [] } = input;
	const asked = mergeEnvironment(input.environment, buildEnvironment).map(({ name, value }) => [name, value] as const);
	const artifacts = incremental ? { S2I_INCREMENTAL: 'true' } : {};
	const given = { ...input.image, ...artifacts, ...Object.fromEntries(asked) };
	const certificates = caBundle === undefined ? [] : CA_VARIABLES.map((name) => [name, caBundle] as const);
	const environment = {
		HOME: input.home,
		SOURCE_DATE_EPOCH: String(input.epoch),
		TZ: 'UTC',
		...Object.fromEntries([...certificates, ...proxyVariables(input.host, given)]),
		...given,
	};
	checkEnvironmentSize(environment, 'build');
	return environment;
}

/** A proxy that the image or the build sets in either case is theirs in both: programs disagree on which case they read. */
function proxyVariables(
	host: AssembleEnvironmentInput['host'],
	given: Readonly<Record<string, string>>,
): readonly (readonly [string, string])[] {
	return PROXY_VARIABLES.flatMap((name) => {
		const names = [name, name.toLowerCase()];
		if (names.some((each) => each in given)) return [];
		return names.flatMap((each) => (host[each] ? [[each, host[each]] as const] : []));
	});
}

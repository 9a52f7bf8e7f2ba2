import type { Alias } from './words.js';

/** Options of S2I that a command takes, so that its command lines work, and that change nothing here. */
export type WithoutEffect = ReadonlyMap<string, Alias>;

const NO_DAEMON = 's2oci talks to no Docker daemon';
const CERTIFICATE = `${NO_DAEMON}; the docker program finds its certificates by $DOCKER_CERT_PATH`;

/** The options that S2I has for every command, before and behind its name, and that are for its connection to a Docker daemon. */
const ofDaemon: WithoutEffect = new Map([
	['url', endpoint()],
	['U', endpoint()],
	['cert', ignored(true, CERTIFICATE)],
	['key', ignored(true, CERTIFICATE)],
	['ca', ignored(true, `${CERTIFICATE}; certificate authorities of registries are given with --ca-bundle`)],
	['tls', ignored(false, `${NO_DAEMON}; a registry without a proper certificate is named with --insecure-registry`)],
	['tlsverify', ignored(false, `${NO_DAEMON}; certificates of registries are always verified`)],
	['loglevel', { takesValue: true, notice: undefined, words: () => [] }],
]);

/**
 * The option `name` (without dashes) where it has no effect: one of S2I's for a Docker daemon, or one that `command` has in S2I only because
 * several share it. `--loglevel` is among them for commands that have nothing to report.
 */
export function findWithoutEffect(name: string, command: WithoutEffect): Alias | undefined {
	return command.get(name) ?? ofDaemon.get(name);
}

/** Whether S2I takes the option `name` (without dashes) before the command, and then whether with a value. */
export function readGlobal(name: string): { readonly takesValue: boolean } | undefined {
	return ofDaemon.get(name);
}

function endpoint(): Alias {
	return {
		...ignored(true, `${NO_DAEMON}, and gives the address to the docker program only`),
		variable: 'DOCKER_HOST',
	};
}

/** An option that is taken for S2I's sake, and `why` it has no effect. */
export function ignored(takesValue: boolean, why: string): Alias {
	return { takesValue, notice: { code: 'WITHOUT_EFFECT', message: `has no effect: ${why}` }, words: () => [] };
}

import type { OptionSpec } from './options.js';
import type { Alias, Notice, ProgramName, WithoutEffect } from './words.js';

interface KnownAlias extends Alias {
	/** The option without which the alias does not exist. */
	readonly needs: string;
	/** Only `sti` ever had it. */
	readonly onlySti?: boolean;
}

const ALIASES: ReadonlyMap<string, KnownAlias> = new Map([
	['scripts', renamed('scripts-url')],
	['location', renamed('destination')],
	['l', renamed('destination')],
	['callbackUrl', renamed('callback-url')],
	['contextDir', renamed('context-dir')],
	['savetempdir', renamedFlag('save-temp-dir')],
	[
		'forcePull',
		{
			needs: 'pull-policy',
			takesValue: false,
			notice: deprecated('write --pull-policy always.'),
			words: (_value, on) => (on ? [{ type: 'option', long: 'pull-policy', value: 'always' }] : []),
		},
	],
	[
		'clean',
		{
			needs: 'incremental',
			takesValue: false,
			notice: deprecated('leave --incremental out; a build is then clean.'),
			words: (_value, on) => [{ type: 'flag', long: 'incremental', on: !on }],
		},
	],
	[
		'verbose',
		{
			needs: 'loglevel',
			onlySti: true,
			takesValue: false,
			notice: deprecated('write --loglevel 3.'),
			words: (_value, on) => (on ? [{ type: 'option', long: 'loglevel', value: '3' }] : []),
		},
	],
	['method', withoutEffect('there is one method only.')],
	['m', withoutEffect('there is one method only.')],
	['dir', withoutEffect('scratch files are in the store, see --store.')],
]);

/** The alias `name` (without dashes), where the command has what it stands for. */
export function findAlias(
	name: string,
	{ options, program }: { readonly options: readonly OptionSpec[]; readonly program: ProgramName },
): Alias | undefined {
	const alias = ALIASES.get(name);
	if (alias === undefined || (alias.onlySti === true && program !== 'sti')) return undefined;
	return options.some(({ long }) => long === alias.needs) ? alias : undefined;
}

function renamed(long: string): KnownAlias {
	return {
		needs: long,
		takesValue: true,
		notice: deprecated(`write --${long}.`),
		words: (value) => [{ type: 'option', long, value }],
	};
}

function renamedFlag(long: string): KnownAlias {
	return {
		needs: long,
		takesValue: false,
		notice: deprecated(`write --${long}.`),
		words: (_value, on) => [{ type: 'flag', long, on }],
	};
}

function withoutEffect(why: string): KnownAlias {
	return {
		needs: 'context-dir',
		onlySti: true,
		takesValue: true,
		notice: deprecated(`it has no effect, ${why}`),
		words: () => [],
	};
}

function deprecated(instead: string): Notice {
	return { code: 'DEPRECATED', message: `is deprecated: ${instead}` };
}

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

import type { OptionSpec } from './options.js';
import type { Alias, Notice, ProgramName, WithoutEffect, Word } from './words.js';

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
	['savetempdir', flagFor('save-temp-dir', 'write --save-temp-dir.', (on) => flag('save-temp-dir', on))],
	['forcePull', flagFor('pull-policy', 'write --pull-policy always.', (on) => valueIf(on, 'pull-policy', 'always'))],
	[
		'clean',
		flagFor('incremental', 'leave --incremental out; a build is then clean.', (on) => flag('incremental', !on)),
	],
	['verbose', { ...flagFor('loglevel', 'write --loglevel 3.', (on) => valueIf(on, 'loglevel', '3')), onlySti: true }],
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
	const words = (value: string) => valueIf(true, long, value);
	return { needs: long, takesValue: true, notice: deprecated(`write --${long}.`), words };
}

function flagFor(needs: string, instead: string, words: (on: boolean) => readonly Word[]): KnownAlias {
	return { needs, takesValue: false, notice: deprecated(instead), words: (_value, on) => words(on) };
}

function flag(long: string, on: boolean): readonly Word[] {
	return [{ type: 'flag', long, on }];
}

function valueIf(on: boolean, long: string, value: string): readonly Word[] {
	return on ? [{ type: 'option', long, value }] : [];
}

function withoutEffect(why: string): KnownAlias {
	const notice = deprecated(`it has no effect, ${why}`);
	return { needs: 'context-dir', onlySti: true, takesValue: true, notice, words: () => [] };
}

function deprecated(instead: string): Notice {
	return { code: 'DEPRECATED', message: `is deprecated: ${instead}` };
}

const NO_DAEMON = 's2oci talks to no Docker daemon';
const ENDPOINT = `${NO_DAEMON}, and gives the address to the docker program only`;
const CERTIFICATE = `${NO_DAEMON}; the docker program finds its certificates by $DOCKER_CERT_PATH`;

/** The options that S2I has for every command, before and behind its name, and that are for its connection to a Docker daemon. */
const ofDaemon: WithoutEffect = new Map([
	...['url', 'U'].map((name): [string, Alias] => [name, { ...ignored(true, ENDPOINT), variable: 'DOCKER_HOST' }]),
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

/** An option that is taken for S2I's sake, and `why` it has no effect. */
export function ignored(takesValue: boolean, why: string): Alias {
	return { takesValue, notice: { code: 'WITHOUT_EFFECT', message: `has no effect: ${why}` }, words: () => [] };
}

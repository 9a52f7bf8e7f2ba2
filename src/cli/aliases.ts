import type { OptionSpec } from './options.js';
import type { ProgramName, Word } from './words.js';

/** A name of S2I's past that still works. */
export interface Alias {
	readonly takesValue: boolean;
	/** What to write now; the end of its notice. */
	readonly instead: string;
	/** What it stands for; a flag without a value gets `''`, and whether it is on. */
	readonly words: (value: string, on: boolean) => readonly Word[];
}

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
			instead: 'write --pull-policy always.',
			words: (_value, on) => (on ? [{ type: 'option', long: 'pull-policy', value: 'always' }] : []),
		},
	],
	[
		'clean',
		{
			needs: 'incremental',
			takesValue: false,
			instead: 'leave --incremental out; a build is then clean.',
			words: (_value, on) => [{ type: 'flag', long: 'incremental', on: !on }],
		},
	],
	[
		'verbose',
		{
			needs: 'loglevel',
			onlySti: true,
			takesValue: false,
			instead: 'write --loglevel 3.',
			words: (_value, on) => (on ? [{ type: 'option', long: 'loglevel', value: '3' }] : []),
		},
	],
	['method', withoutEffect('there is one method only.')],
	['m', withoutEffect('there is one method only.')],
	['dir', withoutEffect('scratch files are in the store, see --store.')],
]);

const NO_DAEMON = 's2oci talks to no Docker daemon, so it needs no endpoint and no certificate for one';
const REFUSED: Readonly<Record<string, string>> = {
	url: NO_DAEMON,
	U: NO_DAEMON,
	cert: NO_DAEMON,
	key: NO_DAEMON,
	ca: `${NO_DAEMON}; certificate authorities of registries are given with --ca-bundle`,
	tls: `${NO_DAEMON}; a registry without a proper certificate is named with --insecure-registry`,
	tlsverify: `${NO_DAEMON}; certificates of registries are always verified`,
};

/** The alias `name` (without dashes), where the command has what it stands for. */
export function findAlias(
	name: string,
	{ options, program }: { readonly options: readonly OptionSpec[]; readonly program: ProgramName },
): Alias | undefined {
	const alias = ALIASES.get(name);
	if (alias === undefined || (alias.onlySti === true && program !== 'sti')) return undefined;
	return options.some(({ long }) => long === alias.needs) ? alias : undefined;
}

/** Why an option of S2I is refused by every command; undefined for any other. */
export function whyRefused(name: string): string | undefined {
	return Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
}

function renamed(long: string): KnownAlias {
	return {
		needs: long,
		takesValue: true,
		instead: `write --${long}.`,
		words: (value) => [{ type: 'option', long, value }],
	};
}

function renamedFlag(long: string): KnownAlias {
	return {
		needs: long,
		takesValue: false,
		instead: `write --${long}.`,
		words: (_value, on) => [{ type: 'flag', long, on }],
	};
}

function withoutEffect(why: string): KnownAlias {
	return {
		needs: 'context-dir',
		onlySti: true,
		takesValue: true,
		instead: `it has no effect, ${why}`,
		words: () => [],
	};
}

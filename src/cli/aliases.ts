import type { OptionSpec } from './options.js';
import type { Alias, Notice, ProgramName } from './words.js';

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

import { absolutePath } from '../host-path.js';
import type { Emit } from '../pipeline/events.js';
import { parseAllowedUids } from '../s2i/allowed-uids.js';
import { type EnvironmentVariable, parseVariable } from '../s2i/environment.js';
import { flag, list, option, type Read, type ReadAll, section } from './options.js';
import { readUrl } from './values.js';

/**
 * The variables of `-e`. A value with both `,` and `=` is kept whole, with a notice, as S2I does; `sti` of 2014 had a comma between
 * variables. Throws USAGE.
 */
export const readEnvironment: ReadAll<readonly EnvironmentVariable[]> = (texts, _option, { program, emit }) =>
	texts.flatMap((text) => {
		const parts = text.split(',');
		if (program === 'sti' && parts.every((part) => /^[^=]+=[^=]*$/.test(part))) return parts.map(parseVariable);
		const variable = parseVariable(text);
		if (variable.value.includes(',') && variable.value.includes('=')) warnOfComma(variable.name, emit);
		return variable;
	});

function warnOfComma(name: string, emit: Emit): void {
	const message = `--env ${name}: the value is kept whole; several variables in one --env, separated by commas, are deprecated: give --env for each`;
	emit({ type: 'warning', code: 'DEPRECATED', message });
}

/** Which part of the source is built. */
export const sourceOptions = section('Source', {
	ref: option('ref', 'REF', 'git branch, tag or commit to build', { short: 'r' }),
	contextDir: option('context-dir', 'DIR', 'directory of the source to build'),
	copy: flag('copy', 'copy a local git repository as it is, uncommitted changes included', 'c'),
	keepSymlinks: flag('keep-symlinks', 'keep every link of a copied directory a link'),
	ignoreSubmodules: flag('ignore-submodules', 'leave the submodules of a git repository out'),
	exclude: option(
		'exclude',
		'REGEXP',
		String.raw`paths of the source to leave out; default (^|/)\.git(/|$), '' for none`,
		{ keepsEmpty: true },
	),
});

/** Reads the URL of scripts. Throws USAGE. */
export const readScriptsUrl: Read<string> = readUrl(
	['http', 'https', 'file', 'image'],
	'Give an http, https, file or image URL, such as file:///dir or image:///usr/libexec/s2i.',
);

/** Where the scripts come from and who runs them. */
export const scriptOptions = section('Scripts', {
	scriptsUrl: option('scripts-url', 'URL', 'where scripts are looked for first: http, https, file or image URL', {
		short: 's',
		read: readScriptsUrl,
	}),
	destination: option(
		'destination',
		'DIR',
		"where source and scripts go in the image; default the builder's label, else /tmp",
		{ short: 'd' },
	),
	assembleUser: option('assemble-user', 'USER', "who runs assemble; default the builder's label, else its user"),
	allowedUids: option('allowed-uids', 'RANGES', 'users that may run it, such as 1- or 1000-2000,5000; default all', {
		short: 'u',
		read: parseAllowedUids,
	}),
});

/** Variables of assemble and of the image. */
export const environmentOptions = section('Environment', {
	environment: list('env', 'NAME=VALUE', 'environment variable of assemble and of the image', {
		short: 'e',
		read: readEnvironment,
	}),
	environmentFile: option(
		'environment-file',
		'FILE',
		'file of such variables, one a line, or <(command); they win over --env',
		{
			short: 'E',
			offer: 'file',
			read: absolutePath,
		},
	),
});

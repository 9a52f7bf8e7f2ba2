import { type Arguments, section, switchOption, textList, textOption } from './options.js';

/** Which part of the source is built, as typed. */
export interface SourceArguments {
	readonly ref: string | undefined;
	readonly contextDir: string | undefined;
	readonly copy: boolean;
	readonly keepSymlinks: boolean;
	readonly ignoreSubmodules: boolean;
	readonly exclude: string | undefined;
}

/** The options of {@link SourceArguments}. */
export const sourceOptions: Arguments<SourceArguments> = section<SourceArguments>('Source', {
	ref: textOption('ref', 'REF', 'git branch, tag or commit to build', { short: 'r' }),
	contextDir: textOption('context-dir', 'DIR', 'directory of the source to build'),
	copy: switchOption('copy', 'copy a local git repository as it is, uncommitted changes included', 'c'),
	keepSymlinks: switchOption('keep-symlinks', 'keep every link of a copied directory a link'),
	ignoreSubmodules: switchOption('ignore-submodules', 'leave the submodules of a git repository out'),
	exclude: textOption(
		'exclude',
		'REGEXP',
		String.raw`paths of the source to leave out; default (^|/)\.git(/|$), '' for none`,
	),
});

/** Where the scripts come from and who runs them, as typed. */
export interface ScriptArguments {
	readonly scriptsUrl: string | undefined;
	readonly destination: string | undefined;
	readonly assembleUser: string | undefined;
	readonly allowedUids: string | undefined;
}

/** The options of {@link ScriptArguments}. */
export const scriptOptions: Arguments<ScriptArguments> = section<ScriptArguments>('Scripts', {
	scriptsUrl: textOption('scripts-url', 'URL', 'where scripts are looked for first: http, https, file or image URL', {
		short: 's',
	}),
	destination: textOption(
		'destination',
		'DIR',
		"where source and scripts go in the image; default the builder's label, else /tmp",
		{
			short: 'd',
		},
	),
	assembleUser: textOption('assemble-user', 'USER', "who runs assemble; default the builder's label, else its user"),
	allowedUids: textOption(
		'allowed-uids',
		'RANGES',
		'users that may run it, such as 1- or 1000-2000,5000; default all',
		{
			short: 'u',
		},
	),
});

/** Variables of assemble and of the image, as typed. */
export interface EnvironmentArguments {
	readonly environment: readonly string[];
	readonly environmentFile: string | undefined;
}

/** The options of {@link EnvironmentArguments}. */
export const environmentOptions: Arguments<EnvironmentArguments> = section<EnvironmentArguments>('Environment', {
	environment: textList('env', 'NAME=VALUE', 'environment variable of assemble and of the image', { short: 'e' }),
	environmentFile: textOption('environment-file', 'FILE', 'file of such variables, one a line; they win over --env', {
		short: 'E',
		offer: 'file',
	}),
});

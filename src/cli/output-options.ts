import { CALLBACK_FORMATS, listed } from './choices.js';
import { type Arguments, section, switchOption, textList, textOption } from './options.js';

/** Where the result goes and who is told, as typed. */
export interface OutputArguments {
	readonly outputs: readonly string[];
	readonly digestFile: string | undefined;
	readonly resultFile: string | undefined;
	readonly callbackUrl: string | undefined;
	readonly callbackFormat: string | undefined;
	readonly saveTempDir: boolean;
	readonly timestamp: string | undefined;
	readonly checkReproducible: boolean;
}

/** The options of {@link OutputArguments}. */
export const outputOptions: Arguments<OutputArguments> = section<OutputArguments>('Output', {
	outputs: textList(
		'output',
		'DEST',
		'also write the image to HOST/NAME:TAG, podman:NAME, docker-daemon:NAME, oci:DIR[:REF], oci-archive:FILE or docker-archive:FILE',
		{ short: 'o', offer: 'file' },
	),
	digestFile: textOption('digest-file', 'FILE', "write the image's digest to FILE", { offer: 'file' }),
	resultFile: textOption('result-file', 'FILE', 'write what was built, or why not, to FILE as JSON', { offer: 'file' }),
	callbackUrl: textOption('callback-url', 'URL', 'POST how the build ended to this URL'),
	callbackFormat: textOption('callback-format', 'FORMAT', `${listed(CALLBACK_FORMATS, { sti: '2014' })}; default s2i`, {
		offer: CALLBACK_FORMATS,
	}),
	timestamp: textOption(
		'timestamp',
		'TIME',
		"time of the image that no file of it is newer than, in seconds since 1970 or as RFC 3339; default $SOURCE_DATE_EPOCH, else the source's",
	),
	checkReproducible: switchOption(
		'check-reproducible',
		'build twice, and fail, naming the files that differ, unless both layers are the same',
	),
	saveTempDir: switchOption('save-temp-dir', 'keep the scratch directory and say where it is'),
});

/** What `s2oci build` does besides building, or in place of it, as typed. */
export interface ModeArguments {
	readonly run: boolean;
	readonly asDockerfile: string | undefined;
	readonly imageScriptsUrl: string | undefined;
	readonly useConfig: boolean;
}

/** The options of {@link ModeArguments}. */
export const modeOptions: Arguments<ModeArguments> = section<ModeArguments>('Output', {
	run: switchOption('run', 'run the image after it was built'),
	asDockerfile: textOption('as-dockerfile', 'FILE', 'write a Dockerfile and its context instead of building', {
		offer: 'file',
	}),
	imageScriptsUrl: textOption(
		'image-scripts-url',
		'URL',
		'with --as-dockerfile: the scripts of a builder without a label',
	),
	useConfig: switchOption('use-config', 'take what is not given from ./.s2ifile, and write it back'),
});

import { parseTimestamp } from '../s2i/timestamp.js';
import { flag, list, option, type Read, section } from './options.js';
import { readScriptsUrl } from './source-options.js';
import { CALLBACK_FORMATS, impossible, listed, oneOf, readPath, readUrl } from './values.js';

const readTimestamp: Read<number> = (text, name) => {
	const seconds = parseTimestamp(text);
	if (seconds !== undefined) return seconds;
	throw impossible(name, text, 'Give seconds since 1970, or a time such as 2025-06-15T15:06:40Z.');
};

/** Where the result goes and who is told. */
export const outputOptions = section('Output', {
	outputs: list(
		'output',
		'DEST',
		'also write the image to HOST/NAME:TAG, podman:NAME, docker-daemon:NAME, oci:DIR[:REF], oci-archive:FILE or docker-archive:FILE',
		{ short: 'o', offer: 'file' },
	),
	files: {
		digestFile: option('digest-file', 'FILE', "write the image's digest to FILE", { offer: 'file', read: readPath }),
		resultFile: option('result-file', 'FILE', 'write what was built, or why not, to FILE as JSON', {
			offer: 'file',
			read: readPath,
		}),
	},
	callback: {
		url: option('callback-url', 'URL', 'POST how the build ended to this URL', {
			read: readUrl(['http', 'https'], 'Give an http or https URL.', { isSecret: true }),
		}),
		format: option('callback-format', 'FORMAT', `${listed(CALLBACK_FORMATS, { sti: '2014' })}; default s2i`, {
			offer: CALLBACK_FORMATS,
			read: (text, name) => oneOf(name, CALLBACK_FORMATS, text),
			absent: ({ program }): (typeof CALLBACK_FORMATS)[number] => (program === 'sti' ? 'sti' : 's2i'),
		}),
	},
	making: {
		timestamp: option(
			'timestamp',
			'TIME',
			"time of the image that no file of it is newer than, in seconds since 1970 or as RFC 3339; default $SOURCE_DATE_EPOCH, else the source's",
			{ read: readTimestamp },
		),
		checkReproducible: flag(
			'check-reproducible',
			'build twice, and fail, naming the files that differ, unless both layers are the same',
		),
		saveTempDir: flag('save-temp-dir', 'keep the scratch directory and say where it is'),
	},
});

/** The scripts of a builder without a label. */
export const imageScriptsUrl = section('Output', {
	imageScriptsUrl: option(
		'image-scripts-url',
		'URL',
		'with --as-dockerfile: the scripts of a builder without a label',
		{ read: readScriptsUrl },
	),
});

/** What `s2oci build` does besides building, or in place of it. */
export const modeOptions = section('Output', {
	run: flag('run', 'run the image after it was built'),
	asDockerfile: option('as-dockerfile', 'FILE', 'write a Dockerfile and its context instead of building', {
		offer: 'file',
	}),
	...imageScriptsUrl,
	useConfig: flag('use-config', 'take what is not given from ./.s2ifile, and write it back'),
});

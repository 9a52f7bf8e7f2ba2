import { PULL_POLICIES, REUSE } from '../pipeline/choices.js';
import { parseAssignment } from '../s2i/environment.js';
import { parseTimestamp } from '../s2i/timestamp.js';
import { parseArtifacts } from '../s2i/volumes.js';
import { CI_CHOICES } from './ci-engine.js';
import { readLocation } from './image-names.js';
import { choice, each, flag, list, option, type Read, section } from './options.js';
import { readScriptsUrl } from './source-options.js';
import { CALLBACK_FORMATS, impossible, listed, oneOf, readPath, readUrl } from './values.js';

/** A build that OpenShift had. */
export const buildConfigOptions = section('BuildConfig of OpenShift', {
	file: option(
		'build-config',
		'FILE[#NAME]',
		'take what is not given from a BuildConfig (YAML or JSON), the one called NAME of several; a warning says what becomes of each ' +
			'field that no build follows',
		{ offer: 'file' },
	),
	objects: list(
		'objects',
		'FILE',
		'Secrets, ConfigMaps and ImageStreams that it names and that are not in its file, as oc get -o yaml prints them',
		{ offer: 'file' },
	),
	imageStreams: list(
		'image-stream',
		'NAME[:TAG]=IMAGE',
		"the image of an ImageStream that it names; '*=REGISTRY' says where all are, by NAMESPACE/NAME:TAG",
	),
});

/** When registries are asked for the builder. */
export const pullPolicy = section('Registries', {
	pullPolicy: choice(
		'pull-policy',
		'POLICY',
		PULL_POLICIES,
		`${listed(PULL_POLICIES, { check: 'ask, but do without when it cannot be reached' })}; default check`,
		{ short: 'p' },
	),
});

/** How the result is described. */
export const imageOptions = section('Image', {
	applicationName: option('application-name', 'NAME', 'display name of the image; default the tag', { short: 'n' }),
	description: option('description', 'TEXT', 'description of the image'),
	labels: list('label', 'NAME=VALUE', 'label of the image', { read: each((text) => parseAssignment(text, '--label')) }),
});

/** Another base for the result. */
export const runtimeOptions = section('Runtime image', {
	image: option('runtime-image', 'IMAGE', 'base the result on this image instead of the builder'),
	artifacts: list('runtime-artifact', 'SRC[:DIR]', 'path of the builder that goes into the runtime image', {
		short: 'a',
		read: (texts) => texts.flatMap(parseArtifacts),
	}),
	user: option(
		'assemble-runtime-user',
		'USER',
		"who runs assemble-runtime; default the runtime image's label, else its user",
	),
	pullPolicy: choice(
		'runtime-pull-policy',
		'POLICY',
		PULL_POLICIES,
		'the same as --pull-policy, for the runtime image',
	),
});

/** Where artifacts of earlier builds come from. */
export const incrementalOptions = section('Incremental', {
	enabled: flag('incremental', 'give assemble what save-artifacts of the previous image saves'),
	removePrevious: flag('rm', 'delete the previous image after a successful incremental build'),
	previousImage: option('previous-image', 'IMAGE', 'the image to take artifacts from; default the tag'),
	pullPolicy: choice(
		'incremental-pull-policy',
		'POLICY',
		PULL_POLICIES,
		'the same as --pull-policy, for the previous image',
	),
	cacheFrom: list(
		'cache-from',
		'IMAGE',
		'artifacts stored by --cache-to; those of this very builder win, then the newest',
		{ read: each(readLocation) },
	),
	cacheTo: list('cache-to', 'IMAGE', 'where to store the artifacts of this build', { read: each(readLocation) }),
});

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
	pushByDigest: flag(
		'push-by-digest',
		'write no tag: the image is known by its digest only, such as for s2oci index create; a target on a registry is then a ' +
			'repository, and one with a tag is refused',
	),
	files: {
		digestFile: option('digest-file', 'FILE', "write the image's digest to FILE", { offer: 'file', read: readPath }),
		resultFile: option('result-file', 'FILE', 'write what was built, or why not, to FILE as JSON', {
			offer: 'file',
			read: readPath,
		}),
	},
	ci: {
		engine: option(
			'ci-output',
			'ENGINE',
			'tell the next step of the job what was built, fold the log, and keep scripts from commanding the engine: ' +
				`${listed(CI_CHOICES, { auto: 'the one that runs this job' })}; default auto`,
			{
				offer: CI_CHOICES,
				read: (text, name) => oneOf(name, CI_CHOICES, text),
				absent: ({ program }): (typeof CI_CHOICES)[number] => (program === 's2oci' ? 'auto' : 'none'),
			},
		),
		path: option(
			'ci-output-path',
			'PATH',
			'where --ci-output writes, a directory for Tekton and Shipwright; default $GITHUB_OUTPUT, s2oci.env and s2oci.properties in the directory of the ' +
				'job, /tekton/results',
			{ offer: 'file', read: readPath },
		),
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
	beforePush: option(
		'before-push',
		'COMMAND',
		"run COMMAND by the image's /bin/sh in the built image, as its user, and push only when it ends with 0; what it changes is not " +
			'in the image',
		{ read: (script) => ({ script }) },
	),
	making: {
		timestamp: option(
			'timestamp',
			'TIME',
			"time of the image that no file of it is newer than, in seconds since 1970 or as RFC 3339; default $SOURCE_DATE_EPOCH, else the source's",
			{ read: readTimestamp },
		),
		reuse: option(
			'reuse',
			'WHEN',
			'whether an image of the same builder, source, scripts, options and environment is named again instead of built: ' +
				'auto, also one that the tag or a cache has, and with secrets; never; default: one that was built here, without secrets',
			{
				offer: REUSE,
				read: (text, name) => oneOf(name, REUSE, text),
				absent: ({ program }): (typeof REUSE)[number] | undefined => (program === 's2oci' ? undefined : 'never'),
			},
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

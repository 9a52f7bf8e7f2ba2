import { PULL_POLICIES } from '../pipeline/choices.js';
import { parseAssignment } from '../s2i/environment.js';
import { parseArtifacts } from '../s2i/volumes.js';
import { readLocation } from './image-names.js';
import { choice, each, flag, list, option, section } from './options.js';
import { listed } from './values.js';

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

import { PULL_POLICIES } from '../pipeline/choices.js';
import { listed } from './choices.js';
import { type Arguments, section, switchOption, textList, textOption } from './options.js';

/** When registries are asked for the builder, as typed. */
export interface PullArguments {
	readonly pullPolicy: string | undefined;
}

/** The options of {@link PullArguments}. */
export const pullOptions: Arguments<PullArguments> = section<PullArguments>('Registries', {
	pullPolicy: textOption(
		'pull-policy',
		'POLICY',
		`${listed(PULL_POLICIES, { check: 'ask, but do without when it cannot be reached' })}; default check`,
		{ short: 'p', offer: PULL_POLICIES },
	),
});

/** How the result is described, as typed. */
export interface ImageArguments {
	readonly applicationName: string | undefined;
	readonly description: string | undefined;
	readonly labels: readonly string[];
}

/** The options of {@link ImageArguments}. */
export const imageOptions: Arguments<ImageArguments> = section<ImageArguments>('Image', {
	applicationName: textOption('application-name', 'NAME', 'display name of the image; default the tag', { short: 'n' }),
	description: textOption('description', 'TEXT', 'description of the image'),
	labels: textList('label', 'NAME=VALUE', 'label of the image'),
});

/** Another base for the result, as typed. */
export interface RuntimeArguments {
	readonly runtimeImage: string | undefined;
	readonly runtimeArtifacts: readonly string[];
	readonly runtimePullPolicy: string | undefined;
	readonly assembleRuntimeUser: string | undefined;
}

/** When registries are asked for the runtime image. */
export const runtimePullPolicy: Arguments<Pick<RuntimeArguments, 'runtimePullPolicy'>> = section<
	Pick<RuntimeArguments, 'runtimePullPolicy'>
>('Runtime image', {
	runtimePullPolicy: textOption('runtime-pull-policy', 'POLICY', 'the same as --pull-policy, for the runtime image', {
		offer: PULL_POLICIES,
	}),
});

/** The options of {@link RuntimeArguments}. */
export const runtimeOptions: Arguments<RuntimeArguments> = {
	...section<Omit<RuntimeArguments, 'runtimePullPolicy'>>('Runtime image', {
		runtimeImage: textOption('runtime-image', 'IMAGE', 'base the result on this image instead of the builder'),
		runtimeArtifacts: textList(
			'runtime-artifact',
			'SRC[:DIR]',
			'path of the builder that goes into the runtime image',
			{
				short: 'a',
			},
		),
		assembleRuntimeUser: textOption(
			'assemble-runtime-user',
			'USER',
			"who runs assemble-runtime; default the runtime image's label, else its user",
		),
	}),
	...runtimePullPolicy,
};

/** Where artifacts of earlier builds come from, as typed. */
export interface IncrementalArguments {
	readonly incremental: boolean;
	readonly removePrevious: boolean;
	readonly previousImage: string | undefined;
	readonly incrementalPullPolicy: string | undefined;
	readonly cacheFrom: readonly string[];
	readonly cacheTo: readonly string[];
}

/** The options of {@link IncrementalArguments}. */
export const incrementalOptions: Arguments<IncrementalArguments> = section<IncrementalArguments>('Incremental', {
	incremental: switchOption('incremental', 'give assemble what save-artifacts of the previous image saves'),
	removePrevious: switchOption('rm', 'delete the previous image after a successful incremental build'),
	previousImage: textOption('previous-image', 'IMAGE', 'the image to take artifacts from; default the tag'),
	incrementalPullPolicy: textOption(
		'incremental-pull-policy',
		'POLICY',
		'the same as --pull-policy, for the previous image',
		{ offer: PULL_POLICIES },
	),
	cacheFrom: textList(
		'cache-from',
		'IMAGE',
		'artifacts stored by --cache-to; those of this very builder win, then the newest',
	),
	cacheTo: textList('cache-to', 'IMAGE', 'where to store the artifacts of this build'),
});

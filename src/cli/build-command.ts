import { type HostArguments, hostOptions } from './host-options.js';
import {
	type ImageArguments,
	type IncrementalArguments,
	imageOptions,
	incrementalOptions,
	type PullArguments,
	pullOptions,
	type RuntimeArguments,
	runtimeOptions,
} from './image-options.js';
import {
	type Arguments,
	type Grammar,
	possible,
	required,
	section,
	switchOption,
	textList,
	textOption,
} from './options.js';
import { type OutputArguments, outputOptions } from './output-options.js';
import { type InputArguments, inputOptions, type SandboxArguments, sandboxOptions } from './sandbox-options.js';
import { type ScriptArguments, type SourceArguments, scriptOptions, sourceOptions } from './source-options.js';

/** Variables of assemble and of the image, as typed. */
export interface EnvironmentArguments {
	readonly environment: readonly string[];
	readonly environmentFile: string | undefined;
}

interface ModeArguments {
	readonly run: boolean;
	readonly asDockerfile: string | undefined;
	readonly imageScriptsUrl: string | undefined;
	readonly useConfig: boolean;
}

/** The arguments of `s2oci build`, as typed. */
export interface BuildArguments
	extends HostArguments,
		SourceArguments,
		ScriptArguments,
		EnvironmentArguments,
		InputArguments,
		ImageArguments,
		RuntimeArguments,
		PullArguments,
		IncrementalArguments,
		SandboxArguments,
		OutputArguments,
		ModeArguments {
	readonly source: string;
	readonly builder: string;
	readonly tag: string | undefined;
}

const environmentOptions: Arguments<EnvironmentArguments> = section<EnvironmentArguments>('Environment', {
	environment: textList('env', 'NAME=VALUE', 'environment variable of assemble and of the image', { short: 'e' }),
	environmentFile: textOption('environment-file', 'FILE', 'file of such variables, one a line; they win over --env', {
		short: 'E',
		offer: 'file',
	}),
});

const modeOptions: Arguments<ModeArguments> = section<ModeArguments>('Output', {
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

/** The grammar and the help of `s2oci build`. */
export const buildCommand: Grammar<BuildArguments> = {
	name: 'build',
	description: 'Build an image from source code and an S2I builder image, and push it.',
	examples: [
		{
			description: 'Build this directory and push the result',
			command: 's2oci build . quay.io/sclorg/nodejs-22-c9s registry.example/team/app:1.2',
		},
		{
			description: 'Build a directory of a branch of a git repository',
			command:
				's2oci build https://example.org/app.git quay.io/sclorg/python-312-c9s reg.example/app --ref main --context-dir web',
		},
		{
			description: 'Build uncommitted changes too, into an OCI layout on disk, and try it',
			command: 's2oci build . quay.io/sclorg/nodejs-22-c9s oci:./image:latest --copy --run',
		},
		{
			description: 'Give assemble a token that does not stay in the image, and reuse what the last build downloaded',
			command: 's2oci build . quay.io/sclorg/nodejs-22-c9s reg.example/app --secret id=npm,env=NPM_TOKEN --incremental',
		},
		{
			description: 'Use the digest in a script',
			command: 'IMAGE=$(s2oci build . quay.io/sclorg/nodejs-22-c9s reg.example/app --env NODE_ENV=production)',
		},
	],
	args: {
		source: required('source', 'a directory, a git URL, an archive, a file, or - for a tar on stdin', 'file'),
		builder: required(
			'builder',
			'the S2I builder image, also oci:DIR[:REF], oci-archive:FILE[:REF] or docker-archive:FILE[:NAME:TAG|:@INDEX]',
		),
		tag: possible('tag', 'the name to push the image as'),
		...sourceOptions,
		...scriptOptions,
		...environmentOptions,
		...inputOptions,
		...imageOptions,
		...runtimeOptions,
		...pullOptions,
		...incrementalOptions,
		...sandboxOptions,
		...outputOptions,
		...modeOptions,
		...hostOptions,
	},
	passesOver: true,
};

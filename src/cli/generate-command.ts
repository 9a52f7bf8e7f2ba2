import { type BuildArguments, buildCommand } from './build-command.js';
import { type HostArguments, hostOptions } from './host-options.js';
import { type PullArguments, pullOptions } from './image-options.js';
import { type Grammar, required } from './options.js';
import { type ScriptArguments, scriptOptions } from './source-options.js';

/** The arguments of `s2oci generate`, as typed. */
export interface GenerateArguments
	extends HostArguments,
		PullArguments,
		Pick<ScriptArguments, 'scriptsUrl' | 'destination' | 'assembleUser'>,
		Pick<BuildArguments, 'environment' | 'imageScriptsUrl' | 'assembleRuntimeUser'> {
	readonly builder: string;
	readonly output: string;
}

/** The grammar and the help of `s2oci generate`. */
export const generateCommand: Grammar<GenerateArguments> = {
	name: 'generate',
	description: 'Write a Dockerfile that builds whatever lies in upload/src beside it with an S2I builder image.',
	examples: [
		{
			description: 'Write it, put the source beside it, build it with another tool',
			command: 's2oci generate quay.io/sclorg/nodejs-22-c9s ./Dockerfile',
		},
	],
	args: {
		builder: required('builder', 'the S2I builder image'),
		output: required('output', 'the file, or with a trailing / the directory, to write to', 'file'),
		scriptsUrl: scriptOptions.scriptsUrl,
		destination: scriptOptions.destination,
		assembleUser: scriptOptions.assembleUser,
		assembleRuntimeUser: buildCommand.args.assembleRuntimeUser,
		imageScriptsUrl: buildCommand.args.imageScriptsUrl,
		environment: buildCommand.args.environment,
		...pullOptions,
		...hostOptions,
	},
};

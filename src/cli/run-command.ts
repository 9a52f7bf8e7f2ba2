import { buildCommand, type EnvironmentArguments } from './build-command.js';
import { type HostArguments, hostOptions } from './host-options.js';
import { type Grammar, required } from './options.js';
import type { SandboxArguments } from './sandbox-options.js';

/** The arguments of `s2oci run`, as typed. */
export interface RunArguments
	extends HostArguments,
		Pick<EnvironmentArguments, 'environment'>,
		Pick<SandboxArguments, 'securityOptions'> {
	readonly image: string;
}

/** The grammar and the help of `s2oci run`. */
export const runCommand: Grammar<RunArguments> = {
	name: 'run',
	description: "Run an image's command in a sandbox, on the host's network. Arguments behind -- replace the command.",
	examples: [
		{ description: 'Try an image that was just built', command: 's2oci run registry.example/team/app:1.2' },
		{
			description: 'Run another program in it',
			command: 's2oci run --env DEBUG=1 registry.example/team/app:1.2 -- node --version',
		},
	],
	args: {
		image: required('image', 'the image to run'),
		environment: buildCommand.args.environment,
		securityOptions: buildCommand.args.securityOptions,
		...hostOptions,
	},
};

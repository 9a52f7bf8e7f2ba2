import { command, positional, string } from 'cmd-ts';
import { type Grammar, type HostArguments, hostOptions, textList } from './options.js';

/** The arguments of `s2oci run`, as typed. */
export interface RunArguments extends HostArguments {
	readonly image: string;
	readonly environment: readonly string[];
}

/** The grammar and the help of `s2oci run`; its value is its arguments. */
export const runCommand: Grammar<RunArguments> = command({
	name: 's2oci run',
	description: "Run an image's command in a sandbox, on the host's network. Arguments behind -- replace the command.",
	examples: [
		{ description: 'Try an image that was just built', command: 's2oci run registry.example/team/app:1.2' },
		{
			description: 'Run another program in it',
			command: 's2oci run --env DEBUG=1 registry.example/team/app:1.2 -- node --version',
		},
	],
	args: {
		image: positional({ displayName: 'image', description: 'the image to run', type: string }),
		environment: textList('env', 'NAME=VALUE', 'environment variable of the program', 'e'),
		...hostOptions,
	},
	handler: (args) => args,
});

import { type Grammar, required } from './options.js';

/** The arguments of `s2oci create`, as typed. */
export interface CreateArguments {
	readonly image: string;
	readonly destination: string;
}

/** The grammar and the help of `s2oci create`. */
export const createCommand: Grammar<CreateArguments> = {
	name: 'create',
	description: 'Write the files of a new S2I builder image: scripts, a Dockerfile, a Makefile and a test.',
	examples: [
		{
			description: 'Begin a builder image, build it and test it',
			command: 's2oci create my-builder ./my-builder && make -C my-builder test',
		},
	],
	args: {
		image: required('imageName', 'the name of the builder image'),
		destination: required(
			'destination',
			'the directory to write to; existing files are never overwritten',
			'directory',
		),
	},
	passesOver: true,
};

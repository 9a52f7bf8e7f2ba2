import { parseImageLocation } from '../../content/location.js';
import { BuildError } from '../../errors.js';
import { absolutePath } from '../../host-path.js';
import { required } from '../options.js';
import type { Definition } from '../parse-command.js';

const createArguments = {
	image: required('imageName', 'the name of the builder image'),
	destination: required('destination', 'the directory to write to; existing files are never overwritten', 'directory'),
};

/** `s2oci create`. */
export const command: Definition<typeof createArguments> = {
	name: 'create',
	description: 'Write the files of a new S2I builder image: scripts, a Dockerfile, a Makefile and a test.',
	examples: [
		{
			description: 'Begin a builder image, build it and test it',
			command: 's2oci create my-builder ./my-builder && make -C my-builder test',
		},
	],
	args: createArguments,
	passesOver: true,
	/** Writes the skeleton of a builder image, unless that would overwrite something. */
	perform: async ({ value }, { io }) => {
		const location = parseImageLocation(value.image);
		if (location.type !== 'registry') {
			throw new BuildError('USAGE', `${JSON.stringify(value.image.slice(0, 200))} is not the name of an image`, {
				hint: 'Give a name such as my-builder or registry.example/team/my-builder.',
			});
		}
		const { writeSkeleton } = await import('../../create/skeleton.js');
		const files = await writeSkeleton(absolutePath(value.destination), withoutTag(value.image));
		io.stderr.write(`wrote ${files.length} files into ${value.destination}; next: make -C ${value.destination} test\n`);
		return 0;
	},
};

function withoutTag(image: string): string {
	return image
		.replace(/^docker:\/\//, '')
		.replace(/@.*$/, '')
		.replace(/:[^/:]*$/, '');
}

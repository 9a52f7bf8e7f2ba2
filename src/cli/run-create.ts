import { parseImageLocation } from '../content/location.js';
import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import type { Perform } from './command.js';
import type { CreateArguments } from './create-command.js';

/** Writes the skeleton of a builder image, unless that would overwrite something. */
export const runCreate: Perform<CreateArguments> = async ({ value }, { io }) => {
	const location = parseImageLocation(value.image);
	if (location.type !== 'registry') {
		throw new BuildError('USAGE', `${JSON.stringify(value.image.slice(0, 200))} is not the name of an image`, {
			hint: 'Give a name such as my-builder or registry.example/team/my-builder.',
		});
	}
	const { writeSkeleton } = await import('../create/skeleton.js');
	const files = await writeSkeleton(absolutePath(value.destination), withoutTag(value.image));
	io.stderr.write(`wrote ${files.length} files into ${value.destination}; next: make -C ${value.destination} test\n`);
	return 0;
};

function withoutTag(image: string): string {
	return image
		.replace(/^docker:\/\//, '')
		.replace(/@.*$/, '')
		.replace(/:[^/:]*$/, '');
}

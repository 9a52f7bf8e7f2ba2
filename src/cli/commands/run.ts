import { beginReading, type Definition, type Perform } from '../command.js';
import type { RunArguments } from '../command-arguments.js';
import { hostOptions } from '../host-options.js';
import { openImageNames } from '../image-names.js';
import { type Grammar, required } from '../options.js';
import { readRunRequest } from '../request.js';
import { sandboxOptions } from '../sandbox-options.js';
import { environmentOptions } from '../source-options.js';
import { withReport } from '../with-report.js';

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
		environment: environmentOptions.environment,
		securityOptions: sandboxOptions.securityOptions,
		...hostOptions,
	},
};

/** Runs an image, with what stands behind `--` for its command; resolves with the program's own exit status, or ours. */
const runImage: Perform<RunArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const names = openImageNames(reading);
	const image = await names.source(line.value.image);
	events.push(...names.notices());
	const request = readRunRequest({ ...line.value, image }, line.rest, reading);
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { run } = await import('../../pipeline/run-image.js');
		return { status: await run(request, emit, signal) };
	});
};

/** `s2oci run`. */
export const command: Definition<RunArguments> = {
	grammar: runCommand,
	perform: runImage,
	takesRest: true,
};

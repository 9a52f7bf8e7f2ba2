import { beginReading, type Definition, type Perform } from '../command.js';
import type { GenerateArguments } from '../command-arguments.js';
import { hostOptions } from '../host-options.js';
import { firstSet } from '../host-request.js';
import { openImageNames } from '../image-names.js';
import { pullOptions, runtimeOptions } from '../image-options.js';
import { type Grammar, required } from '../options.js';
import { modeOptions } from '../output-options.js';
import { readGenerateRequest } from '../request.js';
import { environmentOptions, scriptOptions } from '../source-options.js';
import { withReport } from '../with-report.js';

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
		assembleRuntimeUser: runtimeOptions.assembleRuntimeUser,
		imageScriptsUrl: modeOptions.imageScriptsUrl,
		environment: environmentOptions.environment,
		...pullOptions,
		...hostOptions,
	},
};

/** Writes a Dockerfile for a builder image. */
const runGenerate: Perform<GenerateArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const names = openImageNames(reading);
	const builder = await names.source(line.value.builder, line.value.pullPolicy);
	events.push(...names.notices());
	const request = readGenerateRequest({ ...line.value, builder }, reading);
	if (firstSet(line.value.assembleRuntimeUser) !== undefined) {
		const message = '--assemble-runtime-user has no effect: the Dockerfile has no runtime image';
		reading.emit({ type: 'warning', code: 'WITHOUT_EFFECT', message });
	}
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { writeDockerfile } = await import('../../pipeline/dockerfile/write-dockerfile.js');
		await writeDockerfile(request, emit, signal);
		return { status: 0 };
	});
};

/** `s2oci generate`. */
export const command: Definition<GenerateArguments> = {
	grammar: generateCommand,
	perform: runGenerate,
};

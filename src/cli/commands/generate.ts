import type { DockerfileRequest } from '../../pipeline/dockerfile/write-dockerfile.js';
import { readDockerfilePath } from '../build-request.js';
import { checkHostFiles } from '../check-request.js';
import { hostOptions, readHostRequest, reportOptions } from '../host-options.js';
import { openImageNames, readLocation } from '../image-names.js';
import { type Reading, required, type Values } from '../options.js';
import { withReport } from '../outcome.js';
import type { Definition } from '../parse-command.js';
import { imageScriptsUrl, pullPolicy, runtimeOptions } from '../result-options.js';
import { environmentOptions, scriptOptions } from '../source-options.js';

const { scriptsUrl, destination, assembleUser } = scriptOptions;

const generateArguments = {
	builder: required('builder', 'the S2I builder image'),
	output: required('output', 'the file, or with a trailing / the directory, to write to', 'file'),
	scripts: { scriptsUrl, destination, assembleUser },
	assembleRuntimeUser: runtimeOptions.user,
	...imageScriptsUrl,
	environment: environmentOptions.environment,
	...pullPolicy,
	host: hostOptions,
	report: reportOptions,
};

/** `s2oci generate`. */
export const command: Definition<typeof generateArguments> = {
	name: 'generate',
	description: 'Write a Dockerfile that builds whatever lies in upload/src beside it with an S2I builder image.',
	examples: [
		{
			description: 'Write it, put the source beside it, build it with another tool',
			command: 's2oci generate quay.io/sclorg/nodejs-22-c9s ./Dockerfile',
		},
	],
	args: generateArguments,
	/** Writes a Dockerfile for a builder image. */
	perform: async ({ value, ...line }, { io, program }) => {
		const names = openImageNames({ env: line.env, program });
		const builder = await names.source(value.builder, value.pullPolicy);
		const events = [...line.events, ...names.notices()];
		const request = readGenerateRequest({ ...value, builder }, line);
		if (value.assembleRuntimeUser !== undefined) {
			const message = '--assemble-runtime-user has no effect: the Dockerfile has no runtime image';
			events.push({ type: 'warning', code: 'WITHOUT_EFFECT', message });
		}
		await checkHostFiles(request.host);
		return withReport(value.report, io, events, async (emit, signal) => {
			const { writeDockerfile } = await import('../../pipeline/dockerfile/write-dockerfile.js');
			await writeDockerfile(request, emit, signal);
			return { status: 0 };
		});
	},
};

/** What `s2oci generate` is asked to do. Throws USAGE or REFERENCE_INVALID. */
export function readGenerateRequest(
	args: Values<typeof generateArguments>,
	reading: Pick<Reading, 'env'>,
): DockerfileRequest {
	return {
		host: readHostRequest(args.host, reading),
		scripts: { ...args.scripts, allowedUids: undefined },
		variables: { environment: args.environment, environmentFile: undefined },
		pullPolicy: args.pullPolicy,
		imageScriptsUrl: args.imageScriptsUrl,
		builder: readLocation(args.builder),
		path: readDockerfilePath(args.output),
	};
}

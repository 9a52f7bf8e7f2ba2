import type { RunRequest } from '../../pipeline/request.js';
import { NO_LIMITS } from '../../sandbox/limits.js';
import { checkHostFiles } from '../check-request.js';
import { hostOptions, readHostRequest, reportOptions } from '../host-options.js';
import { openImageNames, readLocation } from '../image-names.js';
import { type Reading, required, type Values } from '../options.js';
import { withReport } from '../outcome.js';
import type { Definition } from '../parse-command.js';
import { sandboxOptions } from '../sandbox-options.js';
import { environmentOptions } from '../source-options.js';

const runArguments = {
	image: required('image', 'the image to run'),
	environment: environmentOptions.environment,
	seccomp: sandboxOptions.limits.seccomp,
	host: hostOptions,
	report: reportOptions,
};

/** `s2oci run`. */
export const command: Definition<typeof runArguments> = {
	name: 'run',
	description: "Run an image's command in a sandbox, on the host's network. Arguments behind -- replace the command.",
	examples: [
		{ description: 'Try an image that was just built', command: 's2oci run registry.example/team/app:1.2' },
		{
			description: 'Run another program in it',
			command: 's2oci run --env DEBUG=1 registry.example/team/app:1.2 -- node --version',
		},
	],
	args: runArguments,
	/** Runs an image, with what stands behind `--` for its command; resolves with the program's own exit status, or ours. */
	perform: async ({ value, ...line }, { io, program }) => {
		const names = openImageNames({ env: line.env, program });
		const image = await names.source(value.image);
		const request = readRunRequest({ ...value, image }, line.rest, line);
		await checkHostFiles(request.host);
		return withReport(value.report, io, [...line.events, ...names.notices()], async (emit, signal) => {
			const { run } = await import('../../pipeline/run-image.js');
			return { status: await run(request, emit, signal) };
		});
	},
	takesRest: true,
};

/** What `s2oci run` is asked to do; `rest` replaces the image's command. Throws USAGE or REFERENCE_INVALID. */
export function readRunRequest(
	args: Values<typeof runArguments>,
	rest: readonly string[],
	reading: Pick<Reading, 'env'>,
): RunRequest {
	const { environment, seccomp } = args;
	const limits = { ...NO_LIMITS, seccomp };
	return {
		host: readHostRequest(args.host, reading),
		image: readLocation(args.image),
		args: rest,
		environment,
		limits,
	};
}

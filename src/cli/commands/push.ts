import { BuildError } from '../../errors.js';
import { absolutePath } from '../../host-path.js';
import type { ResumeRequest } from '../../pipeline/push/resume-push.js';
import { checkHostFiles } from '../check-request.js';
import { hostOptions, readHostRequest, reportOptions } from '../host-options.js';
import { option, type Reading, section, type Values } from '../options.js';
import { conclude, withReport } from '../outcome.js';
import type { Definition } from '../parse-command.js';
import { outputOptions } from '../result-options.js';

const { dockerConfig, insecureRegistries, caBundle } = hostOptions;

const pushArguments = {
	...section('Output', {
		resume: option('resume', 'FILE', 'the result file of the build, or the file that its error names', {
			offer: 'file',
			read: absolutePath,
		}),
	}),
	files: outputOptions.files,
	host: { dockerConfig, insecureRegistries, caBundle },
	report: reportOptions,
};

/** `s2oci push`. */
export const command: Definition<typeof pushArguments> = {
	name: 'push',
	description:
		'Finish the push of a build that failed only there, without building again: to all its targets, with the digest that the build has.',
	examples: [
		{
			description: 'Push what a build has kept, once the registry is back or the token is a new one',
			command: 's2oci push --resume result.json',
		},
	],
	args: pushArguments,
	/** Pushes what was kept; as `s2oci build`, it prints `name@digest` on stdout. */
	perform: async ({ value, ...line }, { io }) => {
		const request = readResumeRequest(value, line);
		await checkHostFiles(request.host);
		return withReport(value.report, io, line.events, async (emit, signal) => {
			const { resumePush } = await import('../../pipeline/push/resume-push.js');
			return conclude(await resumePush(request, emit, signal), value.files);
		});
	},
};

/** What `s2oci push` is asked to do. Throws USAGE. */
export function readResumeRequest(
	{ resume, host }: Values<typeof pushArguments>,
	reading: Pick<Reading, 'env'>,
): ResumeRequest {
	if (resume !== undefined) return { host: readHostRequest(host, reading), file: resume };
	throw new BuildError('USAGE', 's2oci push needs --resume FILE', {
		hint: 'It finishes the push of a build; s2oci build pushes what it builds by itself.',
	});
}

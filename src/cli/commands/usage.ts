import type { UsageRequest } from '../../pipeline/show-usage.js';
import { ignored } from '../aliases.js';
import { checkHostFiles } from '../check-request.js';
import { exitStatusOf } from '../exit-code.js';
import { hostOptions, readHostRequest, reportOptions } from '../host-options.js';
import { openImageNames, readLocation } from '../image-names.js';
import { type Reading, required, type Values } from '../options.js';
import { withReport } from '../outcome.js';
import type { Definition } from '../parse-command.js';
import { pullPolicy } from '../result-options.js';
import { environmentOptions, scriptOptions } from '../source-options.js';

const KEEPS_NOTHING = 'usage runs one script of the image and keeps nothing';
const FLAGS = ['incremental', 'rm', 'save-temp-dir'];
const VALUES = ['callback-url', 'incremental-pull-policy', 'runtime-pull-policy'];

const usageArguments = {
	image: required('image', 'the S2I builder image'),
	scripts: { scriptsUrl: scriptOptions.scriptsUrl, destination: scriptOptions.destination },
	environment: environmentOptions.environment,
	...pullPolicy,
	host: hostOptions,
	report: reportOptions,
};

/** `s2oci usage`. */
export const command: Definition<typeof usageArguments> = {
	name: 'usage',
	description: 'Run the usage script of a builder image, which says how the image is used. Its output is on stdout.',
	examples: [{ description: 'Ask a builder image what it does', command: 's2oci usage quay.io/sclorg/nodejs-22-c9s' }],
	args: usageArguments,
	withoutEffect: new Map([
		...FLAGS.map((name) => [name, ignored(false, KEEPS_NOTHING)] as const),
		...VALUES.map((name) => [name, ignored(true, KEEPS_NOTHING)] as const),
	]),
	passesOver: true,
	/** Runs the usage script of an image; resolves with the script's own exit status, or ours. */
	perform: async ({ value, ...line }, { io, program }) => {
		const names = openImageNames({ env: line.env, program });
		const image = await names.source(value.image, value.pullPolicy);
		const request = readUsageRequest({ ...value, image }, line);
		await checkHostFiles(request.host);
		return withReport(value.report, io, [...line.events, ...names.notices()], async (emit, signal) => {
			const { usage } = await import('../../pipeline/show-usage.js');
			return { status: exitStatusOf(await usage(request, emit, signal), program) };
		});
	},
};

/** What `s2oci usage` is asked to do. Throws USAGE or REFERENCE_INVALID. */
export function readUsageRequest(args: Values<typeof usageArguments>, reading: Pick<Reading, 'env'>): UsageRequest {
	const { scripts, environment, pullPolicy: policy } = args;
	const host = readHostRequest(args.host, reading);
	return { host, scripts, environment, pullPolicy: policy, image: readLocation(args.image) };
}

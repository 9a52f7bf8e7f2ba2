import { beginReading, type Definition, type Perform } from '../command.js';
import type { UsageArguments } from '../command-arguments.js';
import { exitStatusOf } from '../exit-code.js';
import { hostOptions } from '../host-options.js';
import { openImageNames } from '../image-names.js';
import { pullOptions } from '../image-options.js';
import { type Grammar, required } from '../options.js';
import { readUsageRequest } from '../request.js';
import { environmentOptions, scriptOptions } from '../source-options.js';
import { withReport } from '../with-report.js';
import { ignored } from '../without-effect.js';

const KEEPS_NOTHING = 'usage runs one script of the image and keeps nothing';
const FLAGS = ['incremental', 'rm', 'save-temp-dir'];
const VALUES = ['callback-url', 'incremental-pull-policy', 'runtime-pull-policy'];

/** The grammar and the help of `s2oci usage`. */
export const usageCommand: Grammar<UsageArguments> = {
	name: 'usage',
	description: 'Run the usage script of a builder image, which says how the image is used. Its output is on stdout.',
	examples: [{ description: 'Ask a builder image what it does', command: 's2oci usage quay.io/sclorg/nodejs-22-c9s' }],
	args: {
		image: required('image', 'the S2I builder image'),
		scriptsUrl: scriptOptions.scriptsUrl,
		destination: scriptOptions.destination,
		environment: environmentOptions.environment,
		...pullOptions,
		...hostOptions,
	},
	withoutEffect: new Map([
		...FLAGS.map((name) => [name, ignored(false, KEEPS_NOTHING)] as const),
		...VALUES.map((name) => [name, ignored(true, KEEPS_NOTHING)] as const),
	]),
	passesOver: true,
};

/** Runs the usage script of an image; resolves with the script's own exit status, or ours. */
const runUsage: Perform<UsageArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const names = openImageNames(reading);
	const image = await names.source(line.value.image, line.value.pullPolicy);
	events.push(...names.notices());
	const request = readUsageRequest({ ...line.value, image }, reading);
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { usage } = await import('../../pipeline/show-usage.js');
		return { status: exitStatusOf(await usage(request, emit, signal), context.program) };
	});
};

/** `s2oci usage`. */
export const command: Definition<UsageArguments> = {
	grammar: usageCommand,
	perform: runUsage,
};

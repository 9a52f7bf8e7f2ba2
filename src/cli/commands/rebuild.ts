import { checkFiles } from '../check-request.js';
import { beginReading, type Definition, type Perform } from '../command.js';
import type { RebuildArguments } from '../command-arguments.js';
import { hostOptions } from '../host-options.js';
import { firstSet } from '../host-request.js';
import { openImageNames } from '../image-names.js';
import { incrementalOptions, pullOptions, runtimePullPolicy } from '../image-options.js';
import { type Grammar, possible, required, section, textOption } from '../options.js';
import { conclude } from '../outcome.js';
import { outputOptions } from '../output-options.js';
import { readRebuildRequest } from '../request.js';
import { inputOptions, sandboxOptions } from '../sandbox-options.js';
import { scriptOptions } from '../source-options.js';
import { withReport } from '../with-report.js';

const sourceOption = section<Pick<RebuildArguments, 'source'>>('Source', {
	source: textOption(
		'source',
		'SOURCE',
		'where the source is; default where the image says, on this host only when it was built here',
		{
			offer: 'directory',
		},
	),
});

/** The grammar and the help of `s2oci rebuild`. */
export const rebuildCommand: Grammar<RebuildArguments> = {
	name: 'rebuild',
	description:
		'Build an image again from the same commit, as its labels say. What was only for assemble (--secret, --build-env, --inject,\n' +
		'--volume) is not in the image and must be given again.',
	examples: [
		{
			description: 'Build it again on the newest builder image',
			command: 's2oci rebuild registry.example/team/app:1.2',
		},
		{
			description: 'Push it under another name',
			command: 's2oci rebuild registry.example/team/app:1.2 registry.example/team/app:1.2-patched',
		},
	],
	args: {
		image: required('image', 'an image that s2oci or s2i built'),
		tag: possible('new-tag', 'the name to push it as; default the same'),
		...sourceOption,
		destination: scriptOptions.destination,
		...inputOptions,
		...runtimePullPolicy,
		...pullOptions,
		...incrementalOptions,
		...sandboxOptions,
		...outputOptions,
		...hostOptions,
	},
	passesOver: true,
};

/** Builds an image again; as `s2oci build`, it prints `name@digest` on stdout. */
const runRebuild: Perform<RebuildArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const names = openImageNames(reading);
	const image = await names.source(line.value.image, line.value.pullPolicy);
	const given = firstSet(line.value.tag) ?? (image.includes('@') ? undefined : image);
	const tag = given === undefined ? undefined : await names.target(given);
	events.push(...names.notices());
	const request = readRebuildRequest({ ...line.value, image, tag }, reading);
	await checkFiles(request, line.value);
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { rebuild } = await import('../../pipeline/rebuild-image.js');
		const readName = async (name: string) => {
			const read = await names.source(name, line.value.pullPolicy);
			for (const notice of names.notices()) emit(notice);
			return read;
		};
		return conclude(await rebuild({ ...request, readName }, emit, signal), line.value);
	});
};

/** `s2oci rebuild`. */
export const command: Definition<RebuildArguments> = {
	grammar: rebuildCommand,
	perform: runRebuild,
};

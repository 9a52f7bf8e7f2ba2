import { formatImageLocation } from '../../content/location.js';
import { BuildError } from '../../errors.js';
import type { RebuildRequest } from '../../pipeline/rebuild-image.js';
import { readAssemble, readIncremental, readOutput } from '../build-request.js';
import { checkFiles } from '../check-request.js';
import { readCiOutput } from '../ci-engine.js';
import { writableOutput } from '../ci-output.js';
import { hostOptions, readHostRequest, reportOptions } from '../host-options.js';
import { openImageNames, readLocation } from '../image-names.js';
import { option, possible, type Reading, required, section, type Values } from '../options.js';
import { conclude, withReport } from '../outcome.js';
import type { Definition } from '../parse-command.js';
import { incrementalOptions, outputOptions, pullPolicy, runtimeOptions } from '../result-options.js';
import { inputOptions, sandboxOptions } from '../sandbox-options.js';
import { scriptOptions } from '../source-options.js';

const rebuildArguments = {
	image: required('image', 'an image that s2oci or s2i built'),
	tag: possible('new-tag', 'the name to push it as; default the same'),
	...section('Source', {
		source: option(
			'source',
			'SOURCE',
			'where the source is; default where the image says, on this host only when it was built here',
			{ offer: 'directory' },
		),
	}),
	destination: scriptOptions.destination,
	inputs: inputOptions,
	runtimePullPolicy: runtimeOptions.pullPolicy,
	...pullPolicy,
	incremental: incrementalOptions,
	sandbox: sandboxOptions,
	output: outputOptions,
	host: hostOptions,
	report: reportOptions,
};

/** `s2oci rebuild`. */
export const command: Definition<typeof rebuildArguments> = {
	name: 'rebuild',
	description:
		'Build an image again from the same commit, as its labels say. What was only for assemble (--secret, --build-env, --inject,\n' +
		'--volume), and --before-push, is not in the image and must be given again.',
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
	args: rebuildArguments,
	passesOver: true,
	/** Builds an image again; as `s2oci build`, it prints `name@digest` on stdout. */
	perform: async ({ value, ...line }, { io, program }) => {
		const names = openImageNames({ env: line.env, program });
		const image = await names.source(value.image, value.pullPolicy);
		const given = value.tag ?? (image.includes('@') ? undefined : image);
		const tag = given && (await names.target(given));
		const events = [...line.events, ...names.notices()];
		const request = readRebuildRequest({ ...value, image, tag }, line);
		await checkFiles(request, value.output.files);
		const ci = readCiOutput(value.output.ci, line.env);
		const files = { ...value.output.files, ci: await writableOutput(ci, (event) => events.push(event)) };
		return withReport({ ...value.report, ci: ci?.engine }, io, events, async (emit, signal) => {
			const { rebuild } = await import('../../pipeline/rebuild-image.js');
			const readName = async (name: string) => {
				const read = await names.source(name, value.pullPolicy);
				for (const notice of names.notices()) emit(notice);
				return read;
			};
			return conclude(await rebuild({ ...request, readName }, emit, signal), files);
		});
	},
};

/** What `s2oci rebuild` is asked to do. Throws USAGE or REFERENCE_INVALID. */
export function readRebuildRequest(
	args: Values<typeof rebuildArguments>,
	reading: Pick<Reading, 'env'>,
): Omit<RebuildRequest, 'readName'> {
	const { tag, source, destination, runtimePullPolicy, pullPolicy: policy } = args;
	const image = readLocation(args.image);
	if (tag === undefined && image.type === 'registry' && image.reference.digest !== undefined) {
		const message = `${formatImageLocation(image)} is a digest, and what is rebuilt has another: it needs a name`;
		throw new BuildError('USAGE', message, { hint: 'Give it as the second argument: s2oci rebuild IMAGE NEW-TAG' });
	}
	const output = readOutput(args.output, tag ?? args.image);
	return {
		...{ image, source, destination, pullPolicy: policy, runtimePullPolicy },
		host: readHostRequest(args.host, reading),
		assemble: readAssemble(args, []),
		incremental: readIncremental(args.incremental),
		output: { ...output, reuse: output.reuse ?? 'never' },
	};
}

import { BuildError, messageOf } from '../../errors.js';
import { writeOutputFile } from '../../output-file.js';
import { redact } from '../../redact.js';
import { option, required, section } from '../options.js';
import type { Definition } from '../parse-command.js';
import { buildConfigOptions } from '../result-options.js';
import { oneOf, readPath, TARGET_ENGINES } from '../values.js';

const convertArguments = {
	file: required('file', 'a BuildConfig (YAML or JSON); FILE#NAME is the one called NAME of several', 'file'),
	...section('Output', {
		to: option('to', 'ENGINE', `what it is written for: ${TARGET_ENGINES.join(', ')}`, {
			offer: TARGET_ENGINES,
			read: (text, name) => oneOf(name, TARGET_ENGINES, text),
		}),
		output: option('output', 'FILE', 'write it to FILE instead of stdout', {
			short: 'o',
			offer: 'file',
			read: readPath,
		}),
	}),
	objects: buildConfigOptions.objects,
	imageStreams: buildConfigOptions.imageStreams,
};

/** `s2oci convert`. */
export const command: Definition<typeof convertArguments> = {
	name: 'convert',
	description:
		'Write a BuildConfig of OpenShift for another engine: a Build of Shipwright, a TaskRun of Tekton, a job of GitLab or a workflow of\n' +
		'GitHub, each with a comment for what has no counterpart there.',
	examples: [
		{
			description: 'Write a Build for Shipwright with the ClusterBuildStrategy s2oci',
			command: 's2oci convert app.yaml --to shipwright --image-stream nodejs=quay.io/sclorg/nodejs-20-c9s',
		},
	],
	args: convertArguments,
	/** Prints YAML, or writes it to a file. Throws USAGE and OUTPUT_FAILED. */
	perform: async ({ value }, { io }) => {
		const { file, to, output, objects, imageStreams } = value;
		if (to === undefined) {
			throw new BuildError('USAGE', 's2oci convert does not know for which engine', {
				hint: `Give --to with one of ${TARGET_ENGINES.join(', ')}.`,
			});
		}
		const [{ openBuildConfig }, { convert }] = await Promise.all([
			import('../build-config.js'),
			import('../../build-config/convert.js'),
		]);
		const given = await openBuildConfig({ file, objects, imageStreams });
		const text = convert(given.config, to, given);
		if (output === undefined) io.stdout.write(text);
		else await writeOrFail(output, text);
		return 0;
	},
};

async function writeOrFail(path: string, text: string): Promise<void> {
	try {
		await writeOutputFile(path, text);
	} catch (cause) {
		throw new BuildError('OUTPUT_FAILED', `${JSON.stringify(redact(path))} cannot be written: ${messageOf(cause)}`, {
			hint: 'Check that the directory exists and may be written, or name another file.',
			cause,
		});
	}
}

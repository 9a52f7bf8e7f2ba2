import { type HostArguments, hostOptions } from './host-options.js';
import {
	type IncrementalArguments,
	incrementalOptions,
	type PullArguments,
	pullOptions,
	type RuntimeArguments,
	runtimePullPolicy,
} from './image-options.js';
import { type Grammar, possible, required, section, textOption } from './options.js';
import { type OutputArguments, outputOptions } from './output-options.js';
import { type InputArguments, inputOptions, type SandboxArguments, sandboxOptions } from './sandbox-options.js';
import { type ScriptArguments, scriptOptions } from './source-options.js';

/** The arguments of `s2oci rebuild`, as typed. */
export interface RebuildArguments
	extends HostArguments,
		PullArguments,
		IncrementalArguments,
		InputArguments,
		SandboxArguments,
		OutputArguments,
		Pick<ScriptArguments, 'destination'>,
		Pick<RuntimeArguments, 'runtimePullPolicy'> {
	readonly image: string;
	readonly tag: string | undefined;
	readonly source: string | undefined;
}

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

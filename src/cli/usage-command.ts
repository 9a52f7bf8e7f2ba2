import { buildCommand, type EnvironmentArguments } from './build-command.js';
import { type HostArguments, hostOptions } from './host-options.js';
import { type PullArguments, pullOptions } from './image-options.js';
import { type Grammar, required } from './options.js';
import { type ScriptArguments, scriptOptions } from './source-options.js';
import { ignored } from './without-effect.js';

/** The arguments of `s2oci usage`, as typed. */
export interface UsageArguments
	extends HostArguments,
		PullArguments,
		Pick<ScriptArguments, 'scriptsUrl' | 'destination'>,
		Pick<EnvironmentArguments, 'environment'> {
	readonly image: string;
}

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
		environment: buildCommand.args.environment,
		...pullOptions,
		...hostOptions,
	},
	withoutEffect: new Map([
		...FLAGS.map((name) => [name, ignored(false, KEEPS_NOTHING)] as const),
		...VALUES.map((name) => [name, ignored(true, KEEPS_NOTHING)] as const),
	]),
	passesOver: true,
};

import { command, optional, positional, string } from 'cmd-ts';
import { type Grammar, type HostArguments, hostOptions, switchOption, textList, textOption } from './options.js';

/** The arguments of `s2oci build`, as typed. */
export interface BuildArguments extends HostArguments {
	readonly source: string;
	readonly builder: string;
	readonly tag: string | undefined;
	readonly ref: string | undefined;
	readonly contextDir: string | undefined;
	readonly copy: boolean;
	readonly outputs: readonly string[];
	readonly environment: readonly string[];
	readonly digestFile: string | undefined;
	readonly resultFile: string | undefined;
}

/** The grammar and the help of `s2oci build`; its value is its arguments. */
export const buildCommand: Grammar<BuildArguments> = command({
	name: 's2oci build',
	description: 'Build an image from source code and an S2I builder image, and push it.',
	examples: [
		{
			description: 'Build this directory and push the result',
			command: 's2oci build . quay.io/sclorg/nodejs-22-c9s registry.example/team/app:1.2',
		},
		{
			description: 'Build a directory of a branch of a git repository',
			command:
				's2oci build https://example.org/app.git quay.io/sclorg/python-312-c9s reg.example/app --ref main --context-dir web',
		},
		{
			description: 'Build uncommitted changes too, into an OCI layout on disk',
			command: 's2oci build . quay.io/sclorg/nodejs-22-c9s --copy --output oci:./image:latest',
		},
		{
			description: 'Use the digest in a script',
			command: 'IMAGE=$(s2oci build . quay.io/sclorg/nodejs-22-c9s reg.example/app --env NODE_ENV=production)',
		},
	],
	args: {
		source: positional({ displayName: 'source', description: 'a directory or a git URL', type: string }),
		builder: positional({ displayName: 'builder', description: 'the S2I builder image', type: string }),
		tag: positional({ displayName: 'tag', description: 'the name to push the image as', type: optional(string) }),
		ref: textOption('ref', 'REF', 'git branch, tag or commit to build', 'r'),
		contextDir: textOption('context-dir', 'DIR', 'directory of the source to build'),
		copy: switchOption('copy', 'copy a local git repository as it is, uncommitted changes included', 'c'),
		outputs: textList(
			'output',
			'DEST',
			'also write the image to NAME:TAG, oci:DIR[:REF], oci-archive:FILE or docker-archive:FILE',
			'o',
		),
		environment: textList('env', 'NAME=VALUE', 'environment variable of assemble and of the image', 'e'),
		digestFile: textOption('digest-file', 'FILE', "write the image's digest to FILE"),
		resultFile: textOption('result-file', 'FILE', 'write what was built, or why not, to FILE as JSON'),
		...hostOptions,
	},
	handler: (args) => args,
});

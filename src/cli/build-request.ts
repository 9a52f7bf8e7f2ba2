import { formatImageLocation, type ImageLocation, withoutTag } from '../content/location.js';
import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import { formatRepository, namesTag } from '../oci/reference.js';
import type { DockerfileRequest } from '../pipeline/dockerfile/write-dockerfile.js';
import type {
	AssembleRequest,
	BuildRequest,
	IncrementalRequest,
	OutputRequest,
	RunRequest,
	VariablesRequest,
} from '../pipeline/request.js';
import type { EnvironmentVariable } from '../s2i/environment.js';
import { hostOptions, readHostRequest, reportOptions } from './host-options.js';
import { readLocation } from './image-names.js';
import { possible, type Reading, required, type Values } from './options.js';
import {
	buildConfigOptions,
	imageOptions,
	incrementalOptions,
	modeOptions,
	outputOptions,
	pullPolicy,
	runtimeOptions,
} from './result-options.js';
import { inputOptions, sandboxOptions } from './sandbox-options.js';
import { environmentOptions, scriptOptions, sourceOptions } from './source-options.js';
import { firstSet } from './values.js';

/** What `s2oci build` takes, in the order of its help. */
export const buildArguments = {
	source: required('source', 'a directory, a git URL, an archive, a file, or - for a tar on stdin', 'file'),
	builder: required(
		'builder',
		"the S2I builder image: a name without a registry is Docker Hub's (called as s2i, first a local engine's); " +
			'also podman:NAME, docker-daemon:NAME, oci:DIR[:REF], oci-archive:FILE[:REF] or docker-archive:FILE[:NAME:TAG|:@INDEX]',
	),
	tag: possible('tag', 'the name to push the image as'),
	selection: sourceOptions,
	buildConfig: buildConfigOptions,
	scripts: scriptOptions,
	variables: environmentOptions,
	inputs: inputOptions,
	labels: imageOptions,
	runtime: runtimeOptions,
	...pullPolicy,
	incremental: incrementalOptions,
	sandbox: sandboxOptions,
	output: outputOptions,
	mode: modeOptions,
	host: hostOptions,
	report: reportOptions,
};

/** The arguments of `s2oci build`. */
export type BuildArguments = Values<typeof buildArguments>;

/** What `s2oci build` is asked to do. Throws USAGE or REFERENCE_INVALID; touches neither disk nor network. */
export function readBuildRequest(args: BuildArguments, reading: Pick<Reading, 'env'>): BuildRequest {
	const { source, tag, runtime, output, variables, scripts, pullPolicy: policy } = args;
	return {
		...{ variables, scripts, pullPolicy: policy },
		host: readHostRequest(args.host, reading),
		source: { location: source, ...args.selection },
		builder: readLocation(args.builder),
		assemble: readAssemble(args, variables.environment),
		incremental: readIncremental(args.incremental),
		runtime: runtime.image === undefined ? undefined : { ...runtime, image: readLocation(runtime.image) },
		image: { ...args.labels, tagName: readTagName(tag, output.outputs) },
		output: readOutput(output, tag),
	};
}

/** What `--as-dockerfile` is asked to do with `build`. Throws USAGE. */
export function readDockerfileRequest({ mode }: BuildArguments, build: BuildRequest): DockerfileRequest {
	const { host, builder, pullPolicy: policy, scripts, variables } = build;
	const { asDockerfile = '', imageScriptsUrl } = mode;
	const path = readDockerfilePath(asDockerfile);
	return { ...{ host, builder, pullPolicy: policy, scripts, variables, imageScriptsUrl }, path, build };
}

/** The path of a Dockerfile as an absolute one; a slash at its end means a directory, and stays. */
export function readDockerfilePath(text: string): string {
	return text.endsWith('/') ? `${absolutePath(text)}/` : absolutePath(text);
}

/** The run of an image that was just built, for `--run`. */
export function runOf({ host, assemble }: BuildRequest, image: ImageLocation): RunRequest {
	return { host, image, args: [], environment: [], limits: assemble.limits };
}

/** What assemble gets and may use. `environment` may say how much it prints. */
export function readAssemble(
	{ inputs, sandbox, report }: Pick<BuildArguments, 'inputs' | 'sandbox' | 'report'>,
	environment: VariablesRequest['environment'],
): AssembleRequest {
	const buildEnvironment = withLoglevel(inputs.buildEnvironment, report.loglevel, environment);
	return { ...inputs, buildEnvironment, ...sandbox };
}

/** What becomes of the build, whose image goes to `name` first. Throws USAGE, REFERENCE_INVALID. */
export function readOutput(
	{
		outputs,
		pushByDigest,
		beforePush,
		files: { resultFile },
		callback: { url, format },
		making,
	}: BuildArguments['output'],
	name: string | undefined,
): OutputRequest {
	const names = [name ?? '', ...outputs].filter((text) => text !== '');
	const targets = names.map(pushByDigest ? readUntagged : readLocation);
	if (pushByDigest && !targets.some(({ type }) => type === 'registry')) {
		throw new BuildError('USAGE', '--push-by-digest needs a repository to push to', {
			hint: 'Give one without a tag, such as registry.example/team/app.',
		});
	}
	const callback = url === undefined ? undefined : { url, format };
	const isKept = resultFile !== undefined && !/^\/(?:dev|proc)\//.test(absolutePath(resultFile));
	return { ...making, targets, beforePush, callback, ...(isKept && { resultFile }) };
}

/** A target whose image gets no tag, where it is a registry. Throws USAGE when one was typed, as BuildKit's push-by-digest does. */
function readUntagged(text: string): ImageLocation {
	const location = readLocation(text);
	if (location.type !== 'registry' || !namesTag(text)) return withoutTag(location);
	const message = `--push-by-digest writes no tag, and ${formatImageLocation(location)} has one`;
	throw new BuildError('USAGE', message, {
		hint: `Name the repository alone: ${formatRepository(location.reference.repository)}`,
	});
}

/** Where artifacts of earlier builds are. Throws REFERENCE_INVALID. */
export function readIncremental({ previousImage, ...options }: BuildArguments['incremental']): IncrementalRequest {
	return { ...options, previousImage: previousImage === undefined ? undefined : readLocation(previousImage) };
}

/** S2I has the tag as it was typed for the name of the application: without the registry and the `latest` that it stands for. */
function readTagName(tag: string | undefined, outputs: readonly string[]): string | undefined {
	return firstSet(tag, ...outputs)?.replace(/^(?:docker:\/\/|docker-daemon:|podman:|containers-storage:)/, '');
}

/** `variables` with BUILD_LOGLEVEL, when a loglevel was asked for and it is neither among them nor among `environment`. */
function withLoglevel(
	variables: readonly EnvironmentVariable[],
	loglevel: number | undefined,
	environment: readonly EnvironmentVariable[],
): readonly EnvironmentVariable[] {
	const isSet = [...environment, ...variables].some(({ name }) => name === 'BUILD_LOGLEVEL');
	return loglevel === undefined || isSet
		? variables
		: [...variables, { name: 'BUILD_LOGLEVEL', value: String(loglevel) }];
}

import type { ImageLocation } from '../content/location.js';
import { absolutePath } from '../host-path.js';
import type { DockerfileRequest } from '../pipeline/dockerfile/write-dockerfile.js';
import type { BuildRequest, Callback, IncrementalRequest, RunRequest } from '../pipeline/request.js';
import { withLoglevel } from './assemble-inputs.js';
import { hostOptions, readHostRequest, reportOptions } from './host-options.js';
import { readLocation } from './image-names.js';
import { imageOptions, incrementalOptions, pullPolicy, runtimeOptions } from './image-options.js';
import { possible, type Reading, required, type Values } from './options.js';
import { modeOptions, outputOptions } from './output-options.js';
import { inputOptions, sandboxOptions } from './sandbox-options.js';
import { environmentOptions, scriptOptions, sourceOptions } from './source-options.js';
import { firstSet } from './values.js';

/** What `s2oci build` takes, in the order of its help. */
export const buildArguments = {
	source: required('source', 'a directory, a git URL, an archive, a file, or - for a tar on stdin', 'file'),
	builder: required(
		'builder',
		'the S2I builder image, also oci:DIR[:REF], oci-archive:FILE[:REF] or docker-archive:FILE[:NAME:TAG|:@INDEX]',
	),
	tag: possible('tag', 'the name to push the image as'),
	selection: sourceOptions,
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
	const { source, builder, tag, runtime, output, variables } = args;
	return {
		...readHostRequest(args.host, reading),
		...args.selection,
		...args.scripts,
		...variables,
		...args.labels,
		...readProcess(args, variables.environment),
		...readResult(args),
		source,
		builder: readLocation(builder),
		pullPolicy: args.pullPolicy,
		targets: [tag ?? '', ...output.outputs].filter((text) => text !== '').map(readLocation),
		tagName: readTagName(tag, output.outputs),
		runtime: runtime.image === undefined ? undefined : { ...runtime, image: readLocation(runtime.image) },
	};
}

/** What `--as-dockerfile` is asked to do with `build`. Throws USAGE. */
export function readDockerfileRequest({ mode }: BuildArguments, build: BuildRequest): DockerfileRequest {
	return { ...build, build, output: readOutput(mode.asDockerfile ?? ''), imageScriptsUrl: mode.imageScriptsUrl };
}

/** The path of a Dockerfile as an absolute one; a slash at its end means a directory, and stays. */
export function readOutput(text: string): string {
	return text.endsWith('/') ? `${absolutePath(text)}/` : absolutePath(text);
}

/** The run of an image that was just built, for `--run`. */
export function runOf(request: BuildRequest, image: ImageLocation): RunRequest {
	return { ...request, image, args: [], environment: [], limits: request.limits };
}

type Process = Pick<
	BuildRequest,
	'buildEnvironment' | 'secrets' | 'injections' | 'volumes' | 'limits' | 'assembleTimeout'
>;

/** What assemble gets and may use. */
export function readProcess(
	{ inputs, sandbox, report }: Pick<BuildArguments, 'inputs' | 'sandbox' | 'report'>,
	environment: BuildRequest['environment'],
): Process {
	const buildEnvironment = withLoglevel(inputs.buildEnvironment, report.loglevel, environment);
	return { ...inputs, buildEnvironment, ...sandbox };
}

type Result = Pick<BuildRequest, 'incremental' | 'callback' | 'timestamp' | 'checkReproducible' | 'saveTempDir'>;

/** What becomes of the build besides its image. Throws REFERENCE_INVALID. */
export function readResult({ incremental, output }: Pick<BuildArguments, 'incremental' | 'output'>): Result {
	return { ...output.manner, incremental: readIncremental(incremental), callback: readCallback(output.callback) };
}

function readIncremental({ previousImage, ...incremental }: BuildArguments['incremental']): IncrementalRequest {
	return { ...incremental, previousImage: previousImage === undefined ? undefined : readLocation(previousImage) };
}

function readCallback({ url, format }: BuildArguments['output']['callback']): Callback | undefined {
	return url === undefined ? undefined : { url, format };
}

/** S2I has the tag as it was typed for the name of the application: without the registry and the `latest` that it stands for. */
function readTagName(tag: string | undefined, outputs: readonly string[]): string | undefined {
	return firstSet(tag, ...outputs)?.replace(/^(?:docker:\/\/|docker-daemon:|podman:|containers-storage:)/, '');
}

import { type ImageLocation, parseImageLocation } from '../content/location.js';
import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import type { DockerfileRequest } from '../pipeline/dockerfile/write-dockerfile.js';
import type { RebuildRequest } from '../pipeline/rebuild-image.js';
import type { BuildRequest, Callback, IncrementalRequest, RunRequest, RuntimeRequest } from '../pipeline/request.js';
import type { UsageRequest } from '../pipeline/show-usage.js';
import { parseAllowedUids } from '../s2i/allowed-uids.js';
import { parseTimestamp } from '../s2i/timestamp.js';
import { parseArtifacts, parseInjections, parseVolume } from '../s2i/volumes.js';
import { NO_LIMITS } from '../sandbox/limits.js';
import { CALLBACK_FORMATS } from './choices.js';
import type {
	BuildArguments,
	GenerateArguments,
	RebuildArguments,
	RunArguments,
	UsageArguments,
} from './command-arguments.js';
import {
	firstSet,
	impossible,
	oneOf,
	type RequestContext,
	readHostRequest,
	readPath,
	readPullPolicy,
} from './host-request.js';
import type { IncrementalArguments, RuntimeArguments } from './image-options.js';
import { readDuration, readLimits } from './limits-request.js';
import type { OutputArguments } from './output-options.js';
import type { InputArguments, SandboxArguments } from './sandbox-options.js';
import { readSecrets } from './secret.js';
import { readSecurityOptions } from './security-request.js';
import { readBuildVariables, readEnvironment, readLabels } from './variables.js';

/** What `s2oci build` is asked to do. Throws USAGE or REFERENCE_INVALID; touches neither disk nor network. */
export function readBuildRequest(args: BuildArguments, context: RequestContext): BuildRequest {
	const environment = readEnvironment(args.environment, context);
	const exclude = args.exclude;
	return {
		...readHostRequest(args, context.env),
		...readProcess(args, environment, context),
		source: args.source,
		ref: firstSet(args.ref),
		contextDir: firstSet(args.contextDir),
		copy: args.copy,
		keepSymlinks: args.keepSymlinks,
		ignoreSubmodules: args.ignoreSubmodules,
		exclude,
		builder: readLocation(args.builder),
		pullPolicy: readPullPolicy('--pull-policy', args.pullPolicy),
		targets: readTargets(args.tag, args),
		environment,
		environmentFile: readPath(args.environmentFile),
		scriptsUrl: readScriptsUrl('--scripts-url', args.scriptsUrl),
		destination: firstSet(args.destination),
		assembleUser: firstSet(args.assembleUser),
		allowedUids: firstSet(args.allowedUids) === undefined ? undefined : parseAllowedUids(args.allowedUids ?? ''),
		applicationName: firstSet(args.applicationName),
		tagName: readTagName(args.tag, args.outputs),
		description: firstSet(args.description),
		labels: readLabels(args.labels),
		incremental: readIncremental(args),
		runtime: readRuntime(args),
		callback: readCallback(args, context),
		saveTempDir: args.saveTempDir,
		timestamp: readTimestamp(args.timestamp),
		checkReproducible: args.checkReproducible,
	};
}

/** What `--as-dockerfile` is asked to do besides `request`; `output` keeps its trailing slash. Throws USAGE. */
export function readDockerfileRequest(args: BuildArguments, request: BuildRequest): DockerfileRequest {
	return {
		...request,
		output: readOutput(args.asDockerfile ?? ''),
		imageScriptsUrl: readScriptsUrl('--image-scripts-url', args.imageScriptsUrl),
	};
}

/** What `s2oci generate` is asked to do. Throws as {@link readBuildRequest}. */
export function readGenerateRequest(args: GenerateArguments, context: RequestContext): DockerfileRequest {
	return {
		...readHostRequest(args, context.env),
		source: undefined,
		output: readOutput(args.output),
		imageScriptsUrl: readScriptsUrl('--image-scripts-url', args.imageScriptsUrl),
		ref: undefined,
		contextDir: undefined,
		copy: false,
		keepSymlinks: false,
		ignoreSubmodules: false,
		exclude: undefined,
		builder: readLocation(args.builder),
		pullPolicy: readPullPolicy('--pull-policy', args.pullPolicy),
		targets: [],
		environment: readEnvironment(args.environment, context),
		environmentFile: undefined,
		buildEnvironment: [],
		secrets: [],
		scriptsUrl: readScriptsUrl('--scripts-url', args.scriptsUrl),
		destination: firstSet(args.destination),
		assembleUser: firstSet(args.assembleUser),
		allowedUids: undefined,
		applicationName: undefined,
		tagName: undefined,
		description: undefined,
		labels: [],
		injections: [],
		volumes: [],
		limits: NO_LIMITS,
		assembleTimeout: undefined,
		incremental: readIncremental({}),
		runtime: undefined,
		callback: undefined,
		saveTempDir: false,
		timestamp: undefined,
		checkReproducible: false,
	};
}

/** What `s2oci rebuild` is asked to do. Throws as {@link readBuildRequest}. */
export function readRebuildRequest(args: RebuildArguments, context: RequestContext): Omit<RebuildRequest, 'readName'> {
	const image = readLocation(args.image);
	return {
		...readHostRequest(args, context.env),
		...readProcess(args, [], context),
		image,
		targets: readTargets(args.tag ?? nameToReplace(image, args.image), args),
		source: firstSet(args.source),
		pullPolicy: readPullPolicy('--pull-policy', args.pullPolicy),
		runtimePullPolicy: readPullPolicy('--runtime-pull-policy', args.runtimePullPolicy),
		destination: firstSet(args.destination),
		incremental: readIncremental(args),
		callback: readCallback(args, context),
		saveTempDir: args.saveTempDir,
		timestamp: readTimestamp(args.timestamp),
		checkReproducible: args.checkReproducible,
	};
}

/** What `s2oci usage` is asked to do. Throws as {@link readBuildRequest}. */
export function readUsageRequest(args: UsageArguments, context: RequestContext): UsageRequest {
	return {
		...readHostRequest(args, context.env),
		image: readLocation(args.image),
		pullPolicy: readPullPolicy('--pull-policy', args.pullPolicy),
		scriptsUrl: readScriptsUrl('--scripts-url', args.scriptsUrl),
		destination: firstSet(args.destination),
		environment: readEnvironment(args.environment, context),
	};
}

/** What `s2oci run` is asked to do; `rest` replaces the image's command. Throws as {@link readBuildRequest}. */
export function readRunRequest(args: RunArguments, rest: readonly string[], context: RequestContext): RunRequest {
	return {
		...readHostRequest(args, context.env),
		image: readLocation(args.image),
		args: rest,
		environment: readEnvironment(args.environment, context),
		limits: { ...NO_LIMITS, seccomp: readSecurityOptions(args.securityOptions, context.emit) },
	};
}

/** The run of an image that was just built, for `--run`. */
export function runOf(request: BuildRequest, image: ImageLocation): RunRequest {
	return { ...request, image, args: [], environment: [], limits: request.limits };
}

type Process = Pick<
	BuildRequest,
	'buildEnvironment' | 'secrets' | 'injections' | 'volumes' | 'limits' | 'assembleTimeout'
>;

function readProcess(
	args: InputArguments & SandboxArguments & { readonly loglevel: string | undefined },
	environment: BuildRequest['environment'],
	{ emit }: RequestContext,
): Process {
	return {
		buildEnvironment: readBuildVariables(args.buildEnvironment, firstSet(args.loglevel), environment),
		secrets: readSecrets(args.secrets),
		injections: args.injections.flatMap((text) => parseInjections(text, absolutePath)),
		volumes: args.volumes.map((text) => parseVolume(text, absolutePath)),
		limits: readLimits(args, emit),
		assembleTimeout: readDuration('--timeout', args.timeout),
	};
}

function readTargets(tag: string | undefined, args: OutputArguments): readonly ImageLocation[] {
	const { outputs, digestFile, resultFile } = args;
	for (const file of [digestFile, resultFile]) readPath(file);
	return [tag, ...outputs].flatMap((text) => (text === undefined || text === '' ? [] : readLocation(text)));
}

/** A location in a directory that is gone is refused before anything runs. */
function readLocation(text: string): ImageLocation {
	const location = parseImageLocation(text);
	if ('path' in location) absolutePath(location.path);
	return location;
}

/** S2I has the tag as it was typed for the name of the application: without the registry and the `latest` that it stands for. */
function readTagName(tag: string | undefined, outputs: readonly string[]): string | undefined {
	return firstSet(tag, ...outputs)?.replace(/^(?:docker:\/\/|docker-daemon:|podman:|containers-storage:)/, '');
}

function nameToReplace(image: ImageLocation, text: string): string {
	if (image.type !== 'registry' || image.reference.digest === undefined) return text;
	throw new BuildError('USAGE', 'a rebuilt image has another digest, so it needs a name', {
		hint: 'Give it as the second argument: s2oci rebuild IMAGE NEW-TAG',
	});
}

function readIncremental(args: Partial<IncrementalArguments>): IncrementalRequest {
	const previous = firstSet(args.previousImage);
	return {
		enabled: args.incremental ?? false,
		previousImage: previous === undefined ? undefined : readLocation(previous),
		pullPolicy: readPullPolicy('--incremental-pull-policy', args.incrementalPullPolicy),
		removePrevious: args.removePrevious ?? false,
		cacheFrom: (args.cacheFrom ?? []).map(readLocation),
		cacheTo: (args.cacheTo ?? []).map(readLocation),
	};
}

function readRuntime(args: RuntimeArguments): RuntimeRequest | undefined {
	const pullPolicy = readPullPolicy('--runtime-pull-policy', args.runtimePullPolicy);
	const artifacts = args.runtimeArtifacts.flatMap(parseArtifacts);
	const image = firstSet(args.runtimeImage);
	if (image === undefined) return undefined;
	return { image: readLocation(image), pullPolicy, artifacts, user: firstSet(args.assembleRuntimeUser) };
}

function readCallback(args: OutputArguments, { program }: RequestContext): Callback | undefined {
	const format = oneOf('--callback-format', program === 'sti' ? ['sti', 's2i'] : CALLBACK_FORMATS, args.callbackFormat);
	const url = firstSet(args.callbackUrl);
	if (url === undefined) return undefined;
	if (/^https?:\/\/./.test(url) && URL.canParse(url)) return { url, format };
	throw impossible('--callback-url', url, 'Give an http or https URL.');
}

function readScriptsUrl(option: string, text: string | undefined): string | undefined {
	const url = firstSet(text);
	if (url === undefined || /^(?:https?|file|image):\/\/./.test(url)) return url;
	throw impossible(
		option,
		url,
		'Give an http, https, file or image URL, such as file:///dir or image:///usr/libexec/s2i.',
	);
}

function readTimestamp(text: string | undefined): number | undefined {
	const given = firstSet(text);
	const seconds = given === undefined ? undefined : parseTimestamp(given);
	if (given === undefined || seconds !== undefined) return seconds;
	throw impossible('--timestamp', given, 'Give seconds since 1970, or a time such as 2025-06-15T15:06:40Z.');
}

function readOutput(text: string): string {
	return text.endsWith('/') ? `${absolutePath(text)}/` : absolutePath(text);
}

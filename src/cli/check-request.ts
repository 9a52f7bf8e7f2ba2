import { constants } from 'node:fs';
import { access, lstat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { namesImage } from '../content/location.js';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { inheritedPipe, readInheritedPipe } from '../inherited-pipe.js';
import type { Emit } from '../pipeline/events.js';
import type { BuildRequest, HostRequest } from '../pipeline/request.js';
import { redact } from '../redact.js';
import { checkIsFile } from '../small-file.js';
import type { BuildArguments } from './build-request.js';
import { bundleOf } from './host-options.js';
import type { OutcomeFiles } from './outcome.js';

/** Throws USAGE for options that exclude each other; tells `emit` of those that have no effect. */
export function checkCombination(args: BuildArguments, request: BuildRequest, emit: Emit): void {
	const { run, asDockerfile: dockerfile } = args.mode;
	const asDockerfile = dockerfile !== undefined;
	const { runtime, incremental, output } = request;
	const otherArtifacts = incremental.previousImage !== undefined || incremental.cacheFrom.length > 0;
	if (asDockerfile) checkDockerfile(request, run);
	if (runtime !== undefined && incremental.enabled && !otherArtifacts) {
		const hint = 'The previous image has no build artifacts: name others with --cache-from or --previous-image.';
		throw excluded('--incremental', '--runtime-image', hint);
	}
	if (run && output.targets.length === 0) {
		throw new BuildError('USAGE', '--run needs an image to run', { hint: 'Give a tag, such as oci:./image:latest.' });
	}
	for (const message of withoutEffect(args, request, asDockerfile)) {
		emit({ type: 'warning', code: 'WITHOUT_EFFECT', message });
	}
}

function checkDockerfile({ runtime, source, assemble }: BuildRequest, run: boolean): void {
	if (run) throw excluded('--run', '--as-dockerfile', 'A Dockerfile is not an image that could run.');
	if (runtime !== undefined) throw excluded('--runtime-image', '--as-dockerfile', 'Leave one of them out.');
	if ((source.images ?? []).length > 0) {
		throw excluded(
			'--as-dockerfile',
			'source.images of --build-config',
			'Copy them in the Dockerfile: COPY --from=IMAGE.',
		);
	}
	if ([...(source.files ?? []), ...(assemble.files ?? [])].length === 0) return;
	const files = 'Secrets and ConfigMaps of --build-config';
	throw excluded('--as-dockerfile', files, 'Their files are in no build context.');
}

/**
 * Throws USAGE unless all files and variables that the request names are there, and OUTPUT_FAILED for a file of `outputs` that could not be
 * written now: after the push, it would be too late to fail.
 */
export async function checkFiles(
	request: Pick<BuildRequest, 'host' | 'assemble'> & Partial<Pick<BuildRequest, 'variables'>>,
	outputs: OutcomeFiles,
): Promise<void> {
	for (const path of [outputs.digestFile, outputs.resultFile]) if (path) await checkWritable(path);
	const { injections, volumes, secrets } = request.assemble;
	for (const { source } of injections) await checkReadable('--inject', source);
	for (const { source } of volumes) await checkReadable('--volume', source);
	const environmentFile = request.variables?.environmentFile;
	if (environmentFile !== undefined) await checkEnvironmentFile(environmentFile);
	await checkHostFiles(request.host);
	for (const { id, from } of secrets) {
		if ('file' in from) await checkReadable('--secret', from.file);
		else if (request.host.env[from.variable] === undefined) {
			const message = `--secret id=${id}: the variable ${redact(from.variable).slice(0, 100)} is not set`;
			throw new BuildError('USAGE', message, { hint: 'Set and export it, or name a file with src=FILE.' });
		}
	}
}

function withoutEffect(args: BuildArguments, request: BuildRequest, asDockerfile: boolean): readonly string[] {
	const { incremental, output, runtime } = request;
	const caches = [incremental.previousImage, ...incremental.cacheFrom, ...output.targets.filter(namesImage)];
	const previous = caches.some((image) => image !== undefined);
	const of = (option: string, missing: string) => `${option} has no effect without ${missing}`;
	return [
		...(incremental.enabled && !previous
			? [`${of('--incremental', 'a tag, --previous-image or --cache-from')}: the build is clean`]
			: []),
		...(runtime === undefined && args.runtime.artifacts.length > 0
			? [of('--runtime-artifact', '--runtime-image')]
			: []),
		...(runtime === undefined && args.runtime.user !== undefined
			? [of('--assemble-runtime-user', '--runtime-image')]
			: []),
		...withoutBuildConfig(args.buildConfig).map((option) => of(option, '--build-config')),
		...(!asDockerfile && args.mode.imageScriptsUrl !== undefined ? [of('--image-scripts-url', '--as-dockerfile')] : []),
	];
}

function withoutBuildConfig({ file, objects, imageStreams }: BuildArguments['buildConfig']): readonly string[] {
	if (file !== undefined) return [];
	return [...(objects.length > 0 ? ['--objects'] : []), ...(imageStreams.length > 0 ? ['--image-stream'] : [])];
}

function excluded(one: string, other: string, hint: string): BuildError {
	return new BuildError('USAGE', `${one} and ${other} exclude each other`, { hint });
}

/** What is there already may be anything, such as a pipe; it is opened when there is something to write. */
async function checkWritable(path: string): Promise<void> {
	if ((await lstat(path).catch(() => undefined)) !== undefined) return;
	try {
		await access(dirname(resolve(path)), constants.W_OK | constants.X_OK);
	} catch (cause) {
		const what = JSON.stringify(redact(path).slice(0, 200));
		throw new BuildError('OUTPUT_FAILED', `${what} cannot be written: ${errnoOf(cause) ?? messageOf(cause)}`, {
			hint: 'Nothing was built. Check that the directory exists and may be written, or name another file.',
			cause,
		});
	}
}

/**
 * Throws USAGE unless the files of credentials and of certificate authorities that options of `host` name are there. Authorities that the
 * environment names are not asked for before one is wanted.
 */
export async function checkHostFiles({ caBundle, dockerConfig, env }: HostRequest): Promise<void> {
	if (dockerConfig !== undefined) await checkSmallFile('--dockercfg-path', dockerConfig);
	if (caBundle !== undefined && caBundle !== bundleOf(env)) await checkSmallFile('--ca-bundle', caBundle);
}

/** A pipe that a shell made for us is read later, once. */
async function checkEnvironmentFile(path: string): Promise<void> {
	const option = '--environment-file';
	const hint =
		'Name a file. What a program prints is written to one first, or taken from it with --environment-file <(program).';
	if ((await inheritedPipe(path)) === undefined) await checkSmallFile(option, path, hint);
	else await checkReadable(option, path);
}

const NAME_FILE = 'Name a file. What a program prints has to be written to one first.';

async function checkSmallFile(option: string, path: string, hint = NAME_FILE): Promise<void> {
	await checkReadable(option, path);
	await checkIsFile(path).catch((cause: unknown) => {
		const what = JSON.stringify(redact(path).slice(0, 200));
		throw new BuildError('USAGE', `${option}: ${what} cannot be used: ${messageOf(cause)}`, {
			hint,
			cause,
		});
	});
}

async function checkReadable(option: string, path: string): Promise<void> {
	try {
		await access(path, constants.R_OK);
	} catch (cause) {
		const why = errnoOf(cause) === 'ENOENT' ? 'there is no' : 'cannot read';
		throw new BuildError('USAGE', `${option}: ${why} ${JSON.stringify(redact(path).slice(0, 200))}`, {
			hint: 'Check the path, and that this user may read it. Relative paths begin at the working directory.',
			cause,
		});
	}
}

const MAX_BYTES = 1 << 20;
const LIMIT_MS = 60_000;

/**
 * `request` with what comes out of the pipe that its environment file is, as of `-E <(command)`: a build wants the variables more than once.
 * As it is when the file is no such pipe. Throws USAGE when that is more than 1 MiB or has not ended after `limitMs`, and when the source comes
 * from the same pipe.
 */
export async function readPipedVariables(request: BuildRequest, limitMs = LIMIT_MS): Promise<BuildRequest> {
	const { environmentFile: path } = request.variables;
	const descriptor = path === undefined ? undefined : await inheritedPipe(path);
	if (path === undefined || descriptor === undefined) return request;
	const name = JSON.stringify(redact(path));
	if (descriptor === 0 && request.source.location === '-') {
		throw new BuildError('USAGE', `--environment-file: ${name} and the source - are both standard input`, {
			hint: 'Give the variables in a file, or with <(command) in a shell that has it.',
		});
	}
	const bytes = await readInheritedPipe(path, MAX_BYTES, limitMs).catch((cause: unknown) => {
		throw new BuildError('USAGE', `--environment-file: the pipe ${name} cannot be used: ${messageOf(cause)}`, {
			hint: 'What writes to it has to print NAME=VALUE lines, at most 1 MiB, and end; or write them to a file and name that.',
			cause,
		});
	});
	return { ...request, variables: { ...request.variables, environmentText: bytes.toString('utf8') } };
}

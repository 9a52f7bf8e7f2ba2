import { realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
	absoluteLocation,
	formatImageLocation,
	type ImageLocation,
	imageNameOf,
	isEngineLocation,
} from '../../content/location.js';
import { BuildError } from '../../errors.js';
import { absolutePath } from '../../host-path.js';
import type { Http } from '../../http/http.js';
import type { Contract } from '../../s2i/contract.js';
import {
	CONTEXT,
	type DockerfileInput,
	formatBuildEnvironment,
	formatDockerfile,
	type PreviousImage,
} from '../../s2i/dockerfile.js';
import { type EnvironmentVariable, mergeEnvironment } from '../../s2i/environment.js';
import { sourceLabels, withoutCredentials } from '../../s2i/labels.js';
import { NO_LIMITS } from '../../sandbox/limits.js';
import { fetchSource } from '../../source/fetch.js';
import { parseSource } from '../../source/parse.js';
import type { Source, SourceInfo } from '../../source/source.js';
import type { Emit } from '../events.js';
import { openNetwork } from '../network.js';
import { readEnvironment } from '../prepare/build-environment.js';
import { type BuildRecord, createRecord } from '../record.js';
import type { BuildRequest } from '../request.js';
import { type DockerfileScripts, findContract, installDockerfileScripts } from './dockerfile-builder.js';
import {
	clearContext,
	copyInjections,
	dockerfilePath,
	makeSourceDirectory,
	refuseLink,
	removeContext,
	writeContextFile,
	writeDockerfileText,
} from './dockerfile-context.js';

/** A Dockerfile in place of an image. */
export interface DockerfileRequest
	extends Pick<BuildRequest, 'host' | 'builder' | 'pullPolicy' | 'scripts' | 'variables'> {
	/** A path; with a trailing `/`, or for an existing directory, its `Dockerfile`. */
	readonly path: string;
	/** Where the scripts are when the builder image has no label; `image:///usr/libexec/s2i` when undefined. */
	readonly imageScriptsUrl: string | undefined;
	/** The build that it stands for; without one it is for whatever will lie in `upload/src` beside it. */
	readonly build?: Pick<BuildRequest, 'source' | 'assemble' | 'incremental' | 'image' | 'output'>;
}

type Build = NonNullable<DockerfileRequest['build']>;

const NO_SOURCE: SourceInfo = { location: '', epoch: 0, ignoredScripts: [] };

/**
 * Writes a Dockerfile and, in `upload` beside it, its context, which give the image that a build would give (S2I 14). Only the
 * builder's manifest and config are fetched; when its registry cannot be reached, or must not be asked, S2I's defaults are
 * supposed, which a warning tells. Throws what builds throw, and OUTPUT_FAILED.
 */
export async function writeDockerfile(request: DockerfileRequest, emit: Emit, signal: AbortSignal): Promise<void> {
	const record = createRecord(emit);
	const previous = request.build && previousImage(request.build);
	await using network = openNetwork(request.host, emit);
	const { registries, http } = network;
	if (request.build !== undefined) warnOfOptions(request.build, emit);
	const contract = await record.stage('resolve', () => findContract(request, { registries, emit }, signal));
	const path = await dockerfilePath(request.path);
	await refuseLink(path);
	const context = dirname(absolutePath(path));
	const info = await record.stage('source', () => fetchTo(context, request, { http, emit }, signal));
	const from = { request, contract, context, previous, http, record };
	const input = await record.stage('prepare', () => fillContext(info, from, signal));
	await writeDockerfileText(path, formatDockerfile(input));
	emit({ type: 'log', level: 0, message: `wrote ${path}; ${howToBuild(path, request.build?.assemble.secrets)}` });
}

async function fetchTo(
	context: string,
	{ build, host: { env, stdin } }: DockerfileRequest,
	{ http, emit }: { readonly http: Http; readonly emit: Emit },
	signal: AbortSignal,
): Promise<SourceInfo> {
	if (build === undefined) {
		await makeSourceDirectory(context);
		return NO_SOURCE;
	}
	const { contextDir, keepSymlinks, ignoreSubmodules, exclude } = build.source;
	const source = parseSource(build.source.location, build.source);
	await checkPlace(source, context);
	await clearContext(context);
	const emitNotice = (message: string) => emit({ type: 'warning', code: 'SOURCE', message });
	const wanted = { contextDir, keepSymlinks, ignoreSubmodules, exclude, env, http, emitNotice };
	const options = { ...wanted, destination: join(context, CONTEXT.source), stdin: stdin() };
	try {
		return await fetchSource(source, options, signal);
	} catch (error) {
		removeContext(context);
		throw error;
	}
}

/** A copy that contains its own destination would grow without end. */
async function checkPlace(source: Source, context: string): Promise<void> {
	if (source.type !== 'directory') return;
	const [from, to] = await Promise.all([realpath(source.path), realpathOfParent(context)]);
	if (`${to}/`.startsWith(`${from}/`)) {
		throw new BuildError('USAGE', 'the Dockerfile would lie inside the source that is copied beside it', {
			hint: 'Write it to a directory outside the source.',
		});
	}
}

async function realpathOfParent(path: string): Promise<string> {
	const real = await realpath(path).catch(() => undefined);
	return real ?? join(await realpathOfParent(dirname(path)), path.slice(dirname(path).length));
}

interface Filling {
	readonly request: DockerfileRequest;
	readonly contract: Contract;
	readonly context: string;
	readonly previous: ImageLocation | undefined;
	readonly http: Http;
	readonly record: BuildRecord;
}

/** Puts the rest into the context, and says what the Dockerfile has to do with it. */
async function fillContext(info: SourceInfo, filling: Filling, signal: AbortSignal): Promise<DockerfileInput> {
	const { request, contract, context, previous } = filling;
	const { build } = request;
	const source = build && join(context, CONTEXT.source);
	const scripts = await installDockerfileScripts(
		{ ...filling, source, savesArtifacts: build?.incremental.enabled ?? false, emit: filling.record.emit },
		signal,
	);
	for (const path of info.ignoredScripts) {
		await rm(join(context, CONTEXT.source, path), { recursive: true, force: true });
	}
	const buildEnvironment = mergeEnvironment(build?.assemble.buildEnvironment ?? []);
	const text = formatBuildEnvironment(buildEnvironment);
	if (text !== '') await writeContextFile(join(context, CONTEXT.buildEnvironment), text);
	return {
		builder: fromName(request.builder),
		contract,
		assemble: scripts.assemble,
		run: scripts.run,
		hasScripts: scripts.placed,
		labels: labelsOf(request, info),
		environment: await readEnvironment(source, request.variables, filling.record.emit),
		hasBuildEnvironment: buildEnvironment.length > 0,
		secrets: (build?.assemble.secrets ?? []).map(({ id }) => id),
		injections: await copyInjections(build?.assemble.injections ?? [], contract, context, signal),
		previous: previousOf(previous, scripts, filling.record.emit),
	};
}

function labelsOf(request: DockerfileRequest, info: SourceInfo): readonly EnvironmentVariable[] {
	const { image } = request.build ?? {};
	const { scriptsUrl, destination } = request.scripts;
	const described = { displayName: image?.applicationName ?? image?.tagName, description: image?.description };
	const given = {
		...sourceLabels(info, { name: imageNameOf(request.builder) }, described),
		...(scriptsUrl !== undefined && { 'io.openshift.s2i.scripts-url': withoutCredentials(scriptsUrl) }),
		...(destination !== undefined && { 'io.openshift.s2i.destination': destination }),
	};
	const labels = Object.entries(given).map(([name, value]) => ({ name, value: value.replace(/[\0\r\n]+/g, ' ') }));
	return mergeEnvironment(labels, image?.labels ?? []);
}

/** Builds of other tools run elsewhere, so that a relative path would mean something else there; they find images of their engine by name. */
function fromName(location: ImageLocation): string {
	return isEngineLocation(location) ? location.name : formatImageLocation(absoluteLocation(location));
}

function previousImage({ incremental, output }: Build): ImageLocation | undefined {
	if (!incremental.enabled) return undefined;
	const image = incremental.previousImage ?? output.targets[0];
	if (image !== undefined) return image;
	throw new BuildError('USAGE', '--incremental needs the image whose artifacts are to be restored', {
		hint: 'Give a tag as the third argument, or --previous-image.',
	});
}

function previousOf(
	location: ImageLocation | undefined,
	{ saveArtifacts }: DockerfileScripts,
	emit: Emit,
): PreviousImage | undefined {
	if (location === undefined) return undefined;
	if (saveArtifacts !== undefined) {
		return { image: fromName(location), saveArtifacts: saveArtifacts.path, isOurs: saveArtifacts.external };
	}
	const message = 'there is no save-artifacts script: every build is a clean one';
	emit({ type: 'warning', code: 'INCREMENTAL', message });
	return undefined;
}

/** What a Dockerfile cannot say is for whoever builds it. */
function warnOfOptions({ assemble, incremental, output }: Build, emit: Emit): void {
	const { volumes, limits, assembleTimeout } = assemble;
	const lost = [
		...(volumes.length > 0 ? ['--volume'] : []),
		...(isDeepStrictEqual(limits, NO_LIMITS) ? [] : ['limits and network settings']),
		...(assembleTimeout === undefined ? [] : ['--timeout']),
		...(output.callback === undefined ? [] : ['--callback-url']),
		...(output.beforePush === undefined ? [] : ['--before-push']),
		...(output.checkReproducible ? ['--check-reproducible'] : []),
		...(output.saveTempDir ? ['--save-temp-dir'] : []),
		...(incremental.cacheFrom.length + incremental.cacheTo.length > 0 ? ['artifact caches'] : []),
	];
	if (lost.length === 0) return;
	const message = `a Dockerfile has no place for ${lost.join(', ')}: give them to the tool that builds it`;
	emit({ type: 'warning', code: 'NOT_IN_DOCKERFILE', message });
}

function howToBuild(path: string, secrets: Build['assemble']['secrets'] = []): string {
	const given = secrets.map(({ id }) => ` --secret id=${id},src=FILE`).join('');
	return `build it with: buildah bud${given} -t IMAGE -f ${path} ${dirname(path)}`;
}

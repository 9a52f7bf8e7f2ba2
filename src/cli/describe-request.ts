import { formatImageLocation } from '../content/location.js';
import type { BuildRequest, IncrementalRequest } from '../pipeline/request.js';
import { redactWord } from '../redact.js';
import type { Limits } from '../sandbox/limits.js';
import { formatBytes, formatDuration } from './format.js';

/**
 * What a build was asked to do, one `Name: value` a line, as S2I's `describe` at loglevel 2; what was not asked for is left out. Values of
 * variables, labels and secrets are never in it, nor are passwords in what was typed as the source or a URL.
 */
export function describeRequest(request: BuildRequest): readonly string[] {
	return [
		...describeInputs(request),
		...describeIncremental(request.incremental),
		...describeLimits(request.assemble.limits),
		...describeOutcome(request),
	].flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}`));
}

type Line = readonly [name: string, value: string | undefined];

function describeInputs(request: BuildRequest): readonly Line[] {
	const { runtime, source, scripts, variables, assemble, image } = request;
	const { platform } = request.host;
	return [
		['Application Name', image.applicationName],
		['Description', image.description],
		['Builder Image', formatImageLocation(request.builder)],
		['Builder Pull Policy', request.pullPolicy],
		['Platform', [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/')],
		['Runtime Image', runtime && formatImageLocation(runtime.image)],
		['Runtime Image Pull Policy', runtime?.pullPolicy],
		['Runtime Artifacts', runtime && list(runtime.artifacts.map(pair))],
		['Assemble Runtime User', runtime?.user],
		['Source', redactWord(source.location)],
		['Source Ref', source.ref && redactWord(source.ref)],
		['Context Directory', source.contextDir],
		['Exclude', source.exclude],
		['Source Images', list((source.images ?? []).map(({ image }) => formatImageLocation(image)))],
		['Source Options', list(chosen(source, ['copy', 'keepSymlinks', 'ignoreSubmodules']))],
		['Environment', list(variables.environment.map(({ name }) => name))],
		['Environment File', variables.environmentFile],
		['Build Environment', list(assemble.buildEnvironment.map(({ name }) => name))],
		['Secrets', list(assemble.secrets.map(({ id }) => id))],
		['Labels', list(image.labels.map(({ name }) => name))],
		['Injections', list(assemble.injections.map(pair))],
		['Bind Mounts', list(assemble.volumes.map((volume) => `${pair(volume)}${volume.readOnly ? ':ro' : ''}`))],
		['S2I Scripts URL', scripts.scriptsUrl && redactWord(scripts.scriptsUrl)],
		['Artifacts Destination', scripts.destination],
		['Assemble User', scripts.assembleUser],
		['Allowed UIDs', scripts.allowedUids?.map(({ first, last }) => `${first}-${last ?? ''}`).join(',')],
	];
}

function describeIncremental(incremental: IncrementalRequest): readonly Line[] {
	return [
		['Incremental Build', incremental.enabled ? 'enabled' : 'disabled'],
		['Previous Image', incremental.previousImage && formatImageLocation(incremental.previousImage)],
		['Previous Image Pull Policy', incremental.enabled ? incremental.pullPolicy : undefined],
		['Remove Old Build', incremental.removePrevious ? 'enabled' : undefined],
		['Cache From', list(incremental.cacheFrom.map(formatImageLocation))],
		['Cache To', list(incremental.cacheTo.map(formatImageLocation))],
	];
}

function describeOutcome({ assemble, output, host }: BuildRequest): readonly Line[] {
	const { assembleTimeout } = assemble;
	const { callback } = output;
	return [
		['Assemble Timeout', assembleTimeout === undefined ? undefined : formatDuration(assembleTimeout)],
		['Timestamp', output.timestamp?.toString()],
		['Check Reproducible', output.checkReproducible ? 'enabled' : undefined],
		['Before Push', output.beforePush && 'a command'],
		['Reuse', output.reuse],
		['Output Image', list(output.targets.map(formatImageLocation))],
		['Callback URL', callback && `${hostOf(callback.url)} (${callback.format})`],
		['Registry Credentials', host.dockerConfig],
		['Isolation', host.isolation],
		['User Namespace', host.userns],
		['Root Filesystem', host.rootfs],
	];
}

/** The path of a web hook is a secret, too. */
function hostOf(url: string): string {
	return URL.canParse(url) ? `${new URL(url).protocol}//${new URL(url).host}` : 'no URL';
}

function describeLimits(limits: Limits): readonly Line[] {
	return [
		['Network', limits.network],
		['Added Hosts', list(limits.addHosts.map(({ name, address }) => `${name}:${address}`))],
		['Dropped Capabilities', list(limits.capDrop)],
		['Seccomp Profile', describeSeccomp(limits.seccomp)],
		['Memory', limits.memory === undefined ? undefined : formatBytes(limits.memory)],
		['Processors', limits.cpus?.toString()],
		['Processes', limits.pids?.toString()],
		['Ulimits', list(limits.ulimits.map(({ name, soft, hard }) => `${name}=${soft}:${hard}`))],
	];
}

function describeSeccomp(seccomp: Limits['seccomp']): string | undefined {
	if (seccomp === 'default') return undefined;
	return seccomp === 'unconfined' ? seccomp : 'of its own';
}

function list(values: readonly string[]): string | undefined {
	return values.length === 0 ? undefined : values.join(', ');
}

function pair({ source, destination }: { readonly source: string; readonly destination: string }): string {
	return `${source}:${destination}`;
}

function chosen<T>(from: T, keys: readonly (keyof T & string)[]): readonly string[] {
	return keys.filter((key) => from[key] === true);
}

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { readBuildRequest } from '../../../src/cli/build-request.js';
import { command as buildCommand } from '../../../src/cli/commands/build.js';
import { parseCommand } from '../../../src/cli/parse-command.js';
import { parseImageLocation } from '../../../src/content/location.js';
import type { ContainerConfig } from '../../../src/oci/image.js';
import { type DockerfileRequest, writeDockerfile } from '../../../src/pipeline/dockerfile/write-dockerfile.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';
import type {
	AssembleRequest,
	BuildRequest,
	ScriptsRequest,
	SourceRequest,
	VariablesRequest,
} from '../../../src/pipeline/request.js';
import { removeTree } from '../../support/fs.js';

import { testImage } from '../../support/images.js';
import { emptyRegistry, makeSource, publish } from '../../support/tiny.js';

/** What a test wants to be different, as the slices of a request that it is in; images as typed. */
export type Wanted = Partial<SourceRequest & VariablesRequest & ScriptsRequest & AssembleRequest> &
	Partial<Pick<BuildRequest['image'], 'description' | 'labels'> & Pick<BuildRequest, 'pullPolicy'>> & {
		readonly builder: string;
		/** Where the source is; undefined for none, as with `s2oci generate`. */
		readonly source?: string;
		/** Where the Dockerfile goes. */
		readonly output?: string;
		readonly imageScriptsUrl?: string;
		readonly env?: BuildRequest['host']['env'];
		readonly tag?: string;
		readonly incremental?: boolean;
		readonly previousImage?: string;
	};

/** What came of it. */
export interface Written {
	readonly text: string;
	/** Instructions, continued lines joined, comments left out. */
	readonly lines: readonly string[];
	/** Directory of the Dockerfile. */
	readonly context: string;
	readonly warnings: readonly string[];
}

/** An empty directory that is removed after the test. */
export function emptyDirectory(): string {
	const path = mkdtempSync(join(tmpdir(), 's2oci-dockerfile-'));
	onTestFinished(() => removeTree(path));
	return path;
}

/** The name of an image with `config` and one layer, in a registry of its own. */
export async function imageWith(config: ContainerConfig): Promise<string> {
	const registry = await emptyRegistry();
	const { image, blobs } = testImage({ config: { config } });
	const { bytes, descriptor } = image.manifest;
	publish(registry, { mediaType: descriptor.mediaType, manifest: bytes, blobs });
	return `${registry.host}/builders/tiny:latest`;
}

/** A builder image as sclorg makes them. */
export function sclorgImage(more: ContainerConfig = {}): Promise<string> {
	const { Labels, ...rest } = more;
	return imageWith({
		User: '1001',
		WorkingDir: '/opt/app-root/src',
		Env: ['PATH=/bin'],
		Labels: { 'io.openshift.s2i.scripts-url': 'image:///usr/libexec/s2i', ...Labels },
		...rest,
	});
}

/** A small source; `files` are added to it. */
export function plainSource(files: Readonly<Record<string, string>> = {}): string {
	return makeSource({ 'greeting.txt': 'hello\n', ...files });
}

/** Writes a Dockerfile into a new directory, unless `wanted.output` says where. */
export async function write(wanted: Wanted): Promise<Written> {
	const path = wanted.output ?? `${emptyDirectory()}/`;
	const events: BuildEvent[] = [];
	const build = await requestOf(wanted);
	const { host, builder, pullPolicy, scripts, variables } = build;
	const { imageScriptsUrl } = wanted;
	const request: DockerfileRequest = {
		...{ host, builder, pullPolicy, scripts, variables, imageScriptsUrl, path },
		...(wanted.source !== undefined && { build }),
	};
	await writeDockerfile(request, (event) => events.push(event), AbortSignal.timeout(60_000));
	const file = /[/]$/.test(path) ? join(path, 'Dockerfile') : path;
	const text = readFileSync(file, 'utf8');
	const lines = text
		.replaceAll(' \\\n    ', ' ')
		.split('\n')
		.filter((line) => line !== '' && !line.startsWith('#'));
	const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
	return { text, lines, context: join(file, '..'), warnings };
}

/** The build that the command line asks for, with what `wanted` says in the slice that has it. */
async function requestOf(wanted: Wanted): Promise<BuildRequest> {
	const { builder, tag, source = '.', incremental: enabled = false, previousImage } = wanted;
	const line = [source, builder, ...(tag === undefined ? [] : [tag])];
	const env = wanted.env ?? { PATH: process.env['PATH'], HOME: '/nonexistent' };
	const parsed = await parseCommand(buildCommand, line, { env });
	if (parsed.type === 'help') throw new Error('help');
	const build = readBuildRequest(parsed.value, { env });
	const image = previousImage === undefined ? undefined : parseImageLocation(previousImage);
	return {
		...build,
		...(wanted.pullPolicy !== undefined && { pullPolicy: wanted.pullPolicy }),
		source: overridden(build.source, wanted),
		scripts: overridden(build.scripts, wanted),
		variables: overridden(build.variables, wanted),
		assemble: overridden(build.assemble, wanted),
		image: overridden(build.image, wanted),
		incremental: { ...build.incremental, enabled, previousImage: image },
	};
}

function overridden<T extends object>(slice: T, wanted: object): T {
	const own = Object.entries(wanted).filter(([name]) => name in slice);
	return { ...slice, ...Object.fromEntries(own) };
}

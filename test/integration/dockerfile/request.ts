import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { parseImageLocation } from '../../../src/content/location.js';
import type { ContainerConfig } from '../../../src/oci/image.js';
import { type DockerfileRequest, writeDockerfile } from '../../../src/pipeline/dockerfile/write-dockerfile.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';
import type { BuildRequest } from '../../../src/pipeline/request.js';
import { NO_LIMITS } from '../../../src/sandbox/limits.js';
import { removeTree } from '../../support/fs.js';

import { testImage } from '../../support/images.js';
import { emptyRegistry, makeSource, publish } from '../../support/tiny.js';

/** What a test wants to be different; images as typed. */
export type Wanted = Partial<
	Omit<BuildRequest & DockerfileRequest, 'builder' | 'targets' | 'incremental' | 'build'>
> & {
	readonly builder: string;
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
	const { builder, tag, incremental = false, previousImage, ...rest } = wanted;
	const output = rest.output ?? `${emptyDirectory()}/`;
	const events: BuildEvent[] = [];
	const build: BuildRequest = {
		...defaults(),
		...rest,
		source: rest.source ?? '',
		builder: parseImageLocation(builder),
		targets: tag === undefined ? [] : [parseImageLocation(tag)],
		tagName: tag,
		incremental: {
			enabled: incremental,
			previousImage: previousImage === undefined ? undefined : parseImageLocation(previousImage),
			pullPolicy: 'check',
			removePrevious: false,
			cacheFrom: [],
			cacheTo: [],
		},
	};
	const imageScriptsUrl = rest.imageScriptsUrl;
	const request: DockerfileRequest = { ...build, output, imageScriptsUrl, ...(rest.source !== undefined && { build }) };
	await writeDockerfile(request, (event) => events.push(event), AbortSignal.timeout(60_000));
	const path = /[/]$/.test(output) ? join(output, 'Dockerfile') : output;
	const text = readFileSync(path, 'utf8');
	const lines = text
		.replaceAll(' \\\n    ', ' ')
		.split('\n')
		.filter((line) => line !== '' && !line.startsWith('#'));
	const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
	return { text, lines, context: join(path, '..'), warnings };
}

function defaults(): Omit<BuildRequest, 'builder' | 'targets' | 'incremental' | 'source'> {
	return {
		store: '/nonexistent/store',
		isolation: 'auto',
		rootfs: 'auto',
		userns: 'auto',
		platform: { os: 'linux', architecture: 'amd64' },
		insecureRegistries: [],
		caBundle: undefined,
		dockerConfig: undefined,
		env: { PATH: process.env['PATH'], HOME: '/nonexistent' },
		ref: undefined,
		contextDir: undefined,
		copy: false,
		keepSymlinks: false,
		ignoreSubmodules: false,
		exclude: undefined,
		pullPolicy: 'check',
		environment: [],
		environmentFile: undefined,
		buildEnvironment: [],
		secrets: [],
		scriptsUrl: undefined,
		destination: undefined,
		assembleUser: undefined,
		allowedUids: undefined,
		applicationName: undefined,
		tagName: undefined,
		description: undefined,
		labels: [],
		injections: [],
		volumes: [],
		limits: NO_LIMITS,
		assembleTimeout: undefined,
		runtime: undefined,
		callback: undefined,
		saveTempDir: false,
		timestamp: undefined,
		checkReproducible: false,
	};
}

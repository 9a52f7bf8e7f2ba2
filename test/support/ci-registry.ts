import { execFileSync } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { makeIndex } from '../../src/oci/make-index.js';
import { openRegistries } from '../../src/registry/registries.js';
import { testImage, writeImage } from './images.js';
import { startRealRegistry } from './real-registry.js';
import { tinyParts } from './tiny.js';

/** Both run on the processor of this machine, whatever their configs say. */
const ARCHITECTURES = ['amd64', 'arm64'];

/** Starts Debian's registry with the tiny builder as `builders/tiny:latest`, an index for two platforms, and returns its address. */
export async function builderRegistry(): Promise<string> {
	const { host } = await startRealRegistry();
	await publishBuilder(host, 'first');
	return host;
}

/** Puts the tiny builder as it is at `version` there. */
export async function publishBuilder(host: string, version: string): Promise<void> {
	const registries = openRegistries({ env: {}, insecureRegistries: [], caBundle: undefined, userAgent: 's2oci/test' });
	onTestFinished(() => registries.close());
	const repository = registries.open({ registry: host, path: 'builders/tiny' });
	const signal = AbortSignal.timeout(60_000);
	const { tars, config } = tinyParts();
	const images = ARCHITECTURES.map((architecture) =>
		testImage({ layers: tars, config: { ...config, os: 'linux', architecture, author: version } }),
	);
	for (const image of images) await writeImage(image, repository, undefined, signal);
	const members = images.map(({ image: { manifest, config } }) => ({ name: 'builder', manifest, config }));
	await repository.putManifest(makeIndex(members, {}), 'latest', signal);
}

/** An image as skopeo sees it in a registry. */
export interface ReadBack {
	readonly digest: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly env: readonly string[];
	readonly architecture: string;
}

/** Reads the image `name` back by skopeo: that for `architecture`, when there are several. */
export function readBack(name: string, architecture = 'amd64'): ReadBack {
	const words = ['inspect', '--tls-verify=false', '--no-tags', '--override-arch', architecture, `docker://${name}`];
	const { Digest, Labels, Env, Architecture } = JSON.parse(execFileSync('skopeo', words, { encoding: 'utf8' })) as {
		readonly Digest: string;
		readonly Labels: Readonly<Record<string, string>>;
		readonly Env: readonly string[];
		readonly Architecture: string;
	};
	return { digest: Digest, labels: Labels, env: Env, architecture: Architecture };
}

import { expect, test } from 'vitest';
import type { Image } from '../../../src/oci/image.js';
import { OCI_INDEX } from '../../../src/oci/media-types.js';
import { type FleetImage, type FleetRequest, planFleet } from '../../../src/pipeline/fleet/plan.js';
import { jsonBytes, type TestImageParts, testImage } from '../../support/images.js';
import type { Faults, TestRegistry } from '../../support/registry.js';
import { signal, start } from '../../support/registry-client.js';

const platform = { os: 'linux', architecture: 'amd64' };
const BASE = 'org.opencontainers.image.base';

/** Puts an image into `registry` behind its back, under `name` (`repository:tag`). */
function publish(registry: TestRegistry, name: string, parts: TestImageParts = {}): Image {
	const { image, blobs } = testImage(parts);
	const [repository = ''] = name.split(':');
	for (const [digest, bytes] of blobs) registry.blobs.set(`${repository}@${digest}`, bytes);
	const { descriptor, bytes } = image.manifest;
	store(registry, name, descriptor.mediaType, bytes, descriptor.digest);
	return image;
}

function store(registry: TestRegistry, name: string, mediaType: string, bytes: Uint8Array, digest: string): void {
	const [repository = ''] = name.split(':');
	registry.manifests.set(name, { mediaType, bytes });
	registry.manifests.set(`${repository}@${digest}`, { mediaType, bytes });
}

/** What a build with `builder` writes into the config of its image. */
function made(builder: string, digest: string | undefined, more: Readonly<Record<string, unknown>> = {}) {
	const written = { builder, source: 'https://git.example/app', ...more };
	return {
		Labels: {
			'io.s2oci.build': JSON.stringify(written),
			...(digest !== undefined && { 'io.s2oci.builder-digest': digest }),
		},
	};
}

function plan(registry: TestRegistry, request: Partial<FleetRequest>): Promise<readonly FleetImage[]> {
	const network = { env: {}, caBundle: undefined, dockerConfig: undefined, insecureRegistries: [] };
	const names = (request.names ?? []).map((name) => `${registry.host}/${name}`);
	const repositories = (request.repositories ?? []).map((name) => `${registry.host}/${name}`);
	return planFleet({ network, platform, names, repositories }, () => undefined, signal);
}

const asked = ({ requests }: TestRegistry, path: string) =>
	requests.filter((each) => each.path.includes(path)).map(({ method }) => method);

const digestOf = (image: Image) => image.manifest.descriptor.digest;
const layersOf = (...texts: readonly string[]) => ({ layers: texts.map((text) => Buffer.from(text)) });

/** A registry with the builder `builder:1`, as it was before it moved on, and as it is. */
async function withBuilder(faults: Faults = {}) {
	const registry = await start(faults);
	const builder = `${registry.host}/builder:1`;
	const was = publish(registry, 'builder:1', layersOf('old'));
	const is = publish(registry, 'builder:1', layersOf('new'));
	return { registry, builder, was: digestOf(was), is: digestOf(is) };
}

test('images are fresh or stale by the digest of their builder, which is asked for once by HEAD', async () => {
	const { registry, builder, was, is } = await withBuilder();
	publish(registry, 'app:old', { config: { config: made(builder, was) } });
	publish(registry, 'app:new', { config: { config: made(builder, is) } });
	publish(registry, 'app:annotated', {
		config: { config: made(builder, undefined) },
		annotations: { [`${BASE}.name`]: builder, [`${BASE}.digest`]: was },
	});
	const found = await plan(registry, { names: ['app:old', 'app:new', 'app:annotated', 'app:old'] });
	expect(found).toMatchObject([
		{
			image: `${registry.host}/app:old`,
			state: 'stale',
			rebuild: true,
			madeFrom: [{ name: builder, digest: was, now: is }],
		},
		{ state: 'fresh', rebuild: false, madeFrom: [{ name: builder, digest: is }] },
		{ state: 'stale', rebuild: true },
	]);
	expect(asked(registry, '/builder/')).toEqual(['HEAD']);
	expect(registry.requests).toHaveLength(7);
});

test('an image keeps the manifest that was chosen from an index, which is pulled once', async () => {
	const { registry, was, is } = await withBuilder();
	const descriptor = (digest: string, architecture: string) => ({
		...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 1 },
		...{ digest, platform: { os: 'linux', architecture } },
	});
	const bytes = jsonBytes({
		schemaVersion: 2,
		mediaType: OCI_INDEX,
		manifests: [descriptor(is, 'amd64'), descriptor(is, 'arm64')],
	});
	const { digestOf: hash } = await import('../../../src/oci/digest.js');
	store(registry, 'many:1', OCI_INDEX, bytes, hash(bytes));
	const builder = `${registry.host}/many:1`;
	for (const [tag, digest] of Object.entries({ old: was, new: is, again: is })) {
		publish(registry, `app:${tag}`, { config: { config: made(builder, digest) } });
	}
	const found = await plan(registry, { names: ['app:old', 'app:new', 'app:again'] });
	expect(found.map(({ state }) => state)).toEqual(['stale', 'fresh', 'fresh']);
	expect(found[0]?.madeFrom?.[0]?.now).toBe(hash(bytes));
	expect(asked(registry, '/many/')).toEqual(['HEAD', 'GET']);
});

test('an image of S2I itself, which keeps no digest, is compared by the layers of its builder', async () => {
	const { registry, builder } = await withBuilder();
	const Labels = {
		'io.openshift.s2i.build.image': builder,
		'io.openshift.s2i.build.source-location': 'https://git.example/a',
	};
	publish(registry, 'app:old', { config: { config: { Labels } }, ...layersOf('old', 'app') });
	publish(registry, 'app:new', { config: { config: { Labels } }, ...layersOf('new', 'app') });
	const found = await plan(registry, { names: ['app:old', 'app:new'] });
	expect(found.map(({ state, rebuild }) => [state, rebuild])).toEqual([
		['stale', true],
		['fresh', false],
	]);
	expect(asked(registry, '/builder/')).toEqual(['HEAD', 'GET', 'GET']);
});

test('a runtime image that has moved on makes an image stale, too', async () => {
	const { registry, builder, was, is } = await withBuilder();
	const runtime = `${registry.host}/runtime:1`;
	const now = digestOf(publish(registry, 'runtime:1', layersOf('runtime')));
	const config = made(builder, is, { runtime: { image: runtime } });
	const annotated = (digest: string) => ({ [`${BASE}.name`]: runtime, [`${BASE}.digest`]: digest });
	publish(registry, 'app:old', { config: { config }, annotations: annotated(was) });
	publish(registry, 'app:new', { config: { config }, annotations: annotated(now) });
	const [old, fresh] = await plan(registry, { names: ['app:old', 'app:new'] });
	expect(old).toMatchObject({ state: 'stale', madeFrom: [{ name: builder }, { name: runtime, now }] });
	expect(fresh?.state).toBe('fresh');
});

test('what cannot be told is told with its reason, and stops nobody', async () => {
	const { registry, builder, was, is } = await withBuilder();
	publish(registry, 'app:plain');
	publish(registry, 'app:pinned', { config: { config: made(`${builder}@${is}`, is) } });
	publish(registry, 'app:layout', { config: { config: made('oci:/builders/tiny', is) } });
	publish(registry, 'app:orphan', { config: { config: made(`${registry.host}/gone:1`, is) } });
	publish(registry, 'app:metadata', { config: { config: made('169.254.169.254/builder:1', is) } });
	publish(registry, 'app:arm', { config: { architecture: 'arm64', config: made(builder, was) } });
	publish(registry, 'app:last', { config: { config: made(builder, was) } });
	const names = ['plain', 'pinned', 'layout', 'orphan', 'metadata', 'arm', 'missing', 'NO NAME', 'last'];
	const found = await plan(registry, { names: names.map((tag) => `app:${tag}`) });
	expect(found.map(({ state, code, reason }) => `${state} ${code ?? ''} ${reason ?? ''}`)).toEqual([
		expect.stringMatching(/^unknown IMAGE_INVALID .*says neither how it was built nor what its base is/),
		expect.stringMatching(/^unknown {2}its builder .* is named by its digest/),
		expect.stringMatching(/^unknown {2}its builder oci:\/builders\/tiny is on no registry/),
		expect.stringMatching(/^unknown REGISTRY_NOT_FOUND .*gone:1/),
		expect.stringMatching(/^unknown IMAGE_INVALID .*169\.254\.169\.254/),
		expect.stringMatching(/^unknown IMAGE_PLATFORM .*linux\/arm64/),
		expect.stringMatching(/^unknown REGISTRY_NOT_FOUND /),
		expect.stringMatching(/^unknown REFERENCE_INVALID /),
		'stale  ',
	]);
	expect(found.filter(({ rebuild }) => rebuild)).toHaveLength(1);
});

test('what is stale and cannot be rebuilt says why', async () => {
	const { registry, builder, was } = await withBuilder();
	const old = publish(registry, 'app:1', { config: { config: made(builder, was) } });
	publish(registry, 'app:based', { annotations: { [`${BASE}.name`]: builder, [`${BASE}.digest`]: was } });
	publish(registry, 'app:piped', { config: { config: { ...made(builder, was, { source: '-' }) } } });
	const entry = { ...old.manifest.descriptor, platform };
	const arm = { ...entry, platform: { os: 'linux', architecture: 'arm64' } };
	const bytes = jsonBytes({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry, arm] });
	registry.manifests.set('app:many', { mediaType: OCI_INDEX, bytes });
	const names = ['app:based', 'app:piped', 'app:many', `app@${digestOf(old)}`];
	const found = await plan(registry, { names });
	expect(found.map(({ state, rebuild, reason }) => [state, rebuild, reason])).toEqual([
		['stale', false, 'it does not say how it was built'],
		['stale', false, 'it was made from what stood on standard input'],
		['stale', false, 'it is for several platforms, and what is rebuilt is for one'],
		['stale', false, 'it is named by its digest, which what is rebuilt has not'],
	]);
});

test('what is no name is shown on one line, without control characters and passwords', async () => {
	const { registry } = await withBuilder();
	const [forged, secret] = await planFleet(
		{
			network: { env: {}, caBundle: undefined, dockerConfig: undefined, insecureRegistries: [] },
			...{ platform, names: ['x\nfresh  y\u001b[31m', `https://ada:canary@${registry.host}/x`], repositories: [] },
		},
		() => undefined,
		signal,
	);
	expect(forged?.image).toBe('x fresh y[31m');
	expect(JSON.stringify(secret)).not.toContain('canary');
	expect(registry.requests).toEqual([]);
});

test('all tags of a repository are looked at but signatures, and a repository that is not there is told of', async () => {
	const { registry, builder, was, is } = await withBuilder({ tagsPage: 1 });
	publish(registry, 'app:b', { config: { config: made(builder, was) } });
	publish(registry, 'app:a', { config: { config: made(builder, is) } });
	publish(registry, `app:sha256-${'0'.repeat(64)}.sig`);
	const found = await plan(registry, { repositories: ['app', 'gone'] });
	expect(found.map(({ image, state, code }) => [image.replace(registry.host, ''), state, code])).toEqual([
		['/app:a', 'fresh', undefined],
		['/app:b', 'stale', undefined],
		['/gone', 'unknown', 'REGISTRY_NOT_FOUND'],
	]);
});

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import { DOCKER_MANIFEST, layerMediaType, OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-types.js';
import { build, s2oci } from '../support/build.js';
import { decoded, pulled } from '../support/built.js';
import { makeWorkspace, requirePrograms } from '../support/host.js';
import { jsonBytes } from '../support/images.js';
import {
	type EncodedImage,
	emptyRegistry,
	encodeImage,
	publish,
	readLayout,
	TINY_APP,
	tinyLayout,
	tinyParts,
	tinyRegistry,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

const gzip = (tar: Uint8Array) => ({ mediaType: layerMediaType('oci', 'gzip'), bytes: gzipSync(tar) });
const plain = (tar: Uint8Array) => ({ mediaType: layerMediaType('oci', 'none'), bytes: tar });
const dockerGzip = (tar: Uint8Array) => ({ mediaType: layerMediaType('docker', 'gzip'), bytes: gzipSync(tar) });

/** Two frames, as `zstd` writes them when its outputs are concatenated, and a skippable one between them. */
function zstd(tar: Uint8Array): { readonly mediaType: string; readonly bytes: Uint8Array } {
	const frame = (bytes: Uint8Array) => execFileSync('zstd', ['-q', '-c'], { input: bytes, maxBuffer: 1 << 28 });
	const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
	const half = tar.length >> 1;
	const bytes = Buffer.concat([frame(tar.subarray(0, half)), skippable, frame(tar.subarray(half))]);
	return { mediaType: layerMediaType('oci', 'zstd'), bytes };
}

const base = (image: EncodedImage) =>
	(JSON.parse(Buffer.from(image.manifest).toString()) as { readonly layers: readonly object[] }).layers;

describe('a builder image', () => {
	test('may be named by digest, which stays in the result', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const digest = digestOf(readLayout(tinyLayout()).manifest);
		const { result } = await build(workspace, [
			TINY_APP,
			`${registry.host}/builders/tiny@${digest}`,
			`${registry.host}/team/app`,
			'--copy',
		]);
		expect(result.builder?.digest).toBe(digest);
	});

	test('may hold the same layer more than once, compressed in different ways', async () => {
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
		const parts = tinyParts();
		const empty = new Uint8Array(1024);
		let count = 0;
		const image = encodeImage({ ...parts, tars: [empty, ...parts.tars, empty, empty] }, (tar) =>
			count++ % 2 === 0 ? gzip(tar) : plain(tar),
		);
		publish(registry, image);
		const output = join(workspace.root, 'image');
		const args = [TINY_APP, `${registry.host}/builders/tiny`, `oci:${output}`, '--copy'];
		const { result } = await build(workspace, args);
		expect(result.layer?.added).toBeGreaterThan(0);
		const { manifest } = await decoded(readLayout(output));
		expect(manifest.layers).toHaveLength(base(image).length + 1);
	});

	test('may be an index, of which --platform chooses', async () => {
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
		const parts = tinyParts();
		const [amd64, arm64] = ['amd64', 'arm64'].map((architecture) =>
			encodeImage({ ...parts, config: { ...parts.config, architecture } }, gzip),
		) as [EncodedImage, EncodedImage];
		for (const image of [amd64, arm64]) publish(registry, image, 'builders/tiny', 'single');
		const bytes = jsonBytes({
			schemaVersion: 2,
			mediaType: OCI_INDEX,
			manifests: Object.entries({ amd64, arm64 }).map(([architecture, { manifest }]) => ({
				mediaType: OCI_MANIFEST,
				digest: digestOf(manifest),
				size: manifest.length,
				platform: { os: 'linux', architecture },
			})),
		});
		registry.manifests.set('builders/tiny:latest', { mediaType: OCI_INDEX, bytes });
		const args = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy', '--platform'];
		expect((await build(workspace, [...args, 'linux/arm64'])).result.builder?.digest).toBe(digestOf(arm64.manifest));
		expect((await build(workspace, [...args, 'linux/amd64'])).result.builder?.digest).toBe(digestOf(amd64.manifest));
		const refused = await s2oci(workspace, ['build', ...args, 'linux/s390x']);
		expect(refused.status).toBe(3);
		expect(refused.stderr).toMatch(/linux\/amd64.*linux\/arm64|linux\/arm64.*linux\/amd64/s);
	});

	test('of Docker media types gives an image of Docker media types', async () => {
		const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
		const image = encodeImage(tinyParts(), dockerGzip, 'docker');
		publish(registry, image);
		await build(workspace, [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy']);
		const built = await pulled(registry, 'team/app');
		expect(registry.manifests.get('team/app:latest')?.mediaType).toBe(DOCKER_MANIFEST);
		expect(built.manifest.layers.slice(0, -1)).toEqual(base(image));
		expect(built.manifest.layers.at(-1)?.mediaType).toBe(layerMediaType('docker', 'gzip'));
	});

	test('has layers that are gzip, plain or zstd in several frames, which all give the same layer', async (context) => {
		requirePrograms(context, 'zstd');
		const registry = await emptyRegistry();
		const layers: unknown[] = [];
		for (const encode of [gzip, plain, zstd]) {
			const image = encodeImage(tinyParts(), encode);
			publish(registry, image);
			const args = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy'];
			layers.push((await build(makeWorkspace(), args)).result.layer);
			expect((await pulled(registry, 'team/app')).manifest.layers.slice(0, -1)).toEqual(base(image));
		}
		expect(layers).toEqual([layers[0], layers[0], layers[0]]);
	});

	test('may be an OCI layout, an OCI archive or a docker archive', async (context) => {
		requirePrograms(context, 'skopeo');
		const workspace = makeWorkspace();
		const [oci, docker] = [join(workspace.root, 'a.oci.tar'), join(workspace.root, 'a.docker.tar')];
		const copy = (to: string) => execFileSync('skopeo', ['copy', '-q', `oci:${tinyLayout()}:latest`, to]);
		copy(`oci-archive:${oci}:latest`);
		copy(`docker-archive:${docker}:builders/tiny:latest`);
		const diffIds: unknown[] = [];
		for (const builder of [
			`oci:${tinyLayout()}:latest`,
			`oci:${tinyLayout()}`,
			`oci-archive:${oci}`,
			`docker-archive:${docker}`,
		]) {
			const { result } = await build(workspace, [TINY_APP, builder, '--copy', '-o', `oci:${workspace.root}/out`]);
			diffIds.push(result.layer?.diffId);
		}
		expect(new Set(diffIds).size).toBe(1);
	});
});

describe('a target', () => {
	test('may be several: registries, a layout and archives get the same manifest at once', async (context) => {
		requirePrograms(context, 'skopeo');
		const [workspace, registry, other] = [makeWorkspace(), await tinyRegistry(), await emptyRegistry()];
		const [layout, oci, docker] = ['layout', 'app.oci.tar', 'app.docker.tar'].map((name) => join(workspace.root, name));
		const { stdout, result } = await build(workspace, [
			...[TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app:1`, '--copy'],
			...['-o', `${other.host}/team/app:2`, '-o', `oci:${layout}:1`],
			...['-o', `oci-archive:${oci}:1`, `--output=docker-archive:${docker}`],
		]);
		expect(stdout).toBe(`${registry.host}/team/app:1@${result.digest}\n`);
		const wanted = registry.manifests.get('team/app:1')?.bytes;
		expect(digestOf(wanted ?? new Uint8Array())).toBe(result.digest);
		expect(other.manifests.get('team/app:2')?.bytes).toEqual(wanted);
		expect(Buffer.from(readLayout(String(layout), '1').manifest)).toEqual(Buffer.from(wanted ?? []));
		const inspect = (name: string) =>
			JSON.parse(execFileSync('skopeo', ['inspect', '--config', name], { encoding: 'utf8' })) as unknown;
		expect(inspect(`oci-archive:${oci}`)).toEqual((await decoded(readLayout(String(layout)))).config);
		expect(inspect(`docker-archive:${docker}`)).toMatchObject({
			rootfs: (await pulled(other, 'team/app', '2')).config.rootfs,
		});
	});

	test('in the registry of the builder gets its layers mounted, not uploaded', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ mount: 'accept' })];
		const args = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy'];
		const { result } = await build(workspace, args);
		const uploads = registry.requests.filter(({ method }) => method === 'PUT' || method === 'PATCH');
		expect(uploads.filter(({ path }) => path.includes('/blobs/uploads/')).length).toBeLessThanOrEqual(4);
		expect(result.bytes.mounted).toBe(base(readLayout(tinyLayout())).reduce((sum, layer) => sum + sizeOf(layer), 0));
		const config = (await pulled(registry, 'team/app')).manifest.config.size;
		expect(result.bytes.uploaded - (result.layer?.size ?? 0)).toBeLessThanOrEqual(config);
	});

	test('in another registry gets the layers without a second download', async () => {
		const [workspace, registry, other] = [makeWorkspace(), await tinyRegistry(), await emptyRegistry()];
		const { result } = await build(workspace, [
			...[TINY_APP, `${registry.host}/builders/tiny`, `${other.host}/team/app`, '--copy'],
			...['-o', `oci:${workspace.root}/layout`],
		]);
		const downloads = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
		expect(new Set(downloads.map(({ path }) => path)).size).toBe(downloads.length);
		expect(downloads).toHaveLength(base(readLayout(tinyLayout())).length + 1);
		expect((await pulled(other, 'team/app')).entries.get('opt/app-root/src/greeting.txt')?.content).toBe(
			readFileSync(join(TINY_APP, 'greeting.txt'), 'utf8'),
		);
		expect(result.bytes.mounted).toBe(0);
	});

	test('in another registry is served from a warm store by streaming each layer once', async () => {
		const [workspace, registry, other] = [makeWorkspace(), await tinyRegistry(), await emptyRegistry()];
		const args = [TINY_APP, `${registry.host}/builders/tiny`, '--copy'];
		await build(workspace, [...args, '-o', `${registry.host}/team/app`]);
		registry.requests.length = 0;
		await build(workspace, [...args, '-o', `${other.host}/team/app`]);
		const downloads = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
		expect(downloads).toHaveLength(base(readLayout(tinyLayout())).length);
		expect((await pulled(other, 'team/app')).entries.has('opt/app-root/src/index.html')).toBe(true);
	});

	test('may be missing: then the image is only built', async () => {
		const { stdout, stderr, result } = await build(makeWorkspace(), [TINY_APP, `oci:${tinyLayout()}`, '--copy']);
		expect(stdout).toBe(`${result.digest}\n`);
		expect(stderr).toContain('the image is not kept: give a tag, or --output oci:DIR');
	});
});

function sizeOf(layer: object): number {
	return 'size' in layer ? Number(layer.size) : 0;
}

import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import { appendLayer, type Image, type ImageChange } from '../../../src/oci/image.js';
import { parseConfig, parseManifest } from '../../../src/oci/manifest.js';
import { DOCKER_CONFIG, DOCKER_MANIFEST, layerCompression } from '../../../src/oci/media-types.js';
import { descriptorOf, testImage } from '../../support/images.js';

const layer = {
	blob: descriptorOf(Buffer.from('compressed'), 'application/vnd.oci.image.layer.v1.tar+gzip'),
	diffId: digestOf(Buffer.from('plain')),
};
const change: ImageChange = {
	config: (base) => ({ ...base, Cmd: ['/usr/libexec/s2i/run'] }),
	history: { created: '2026-01-02T03:04:05Z', created_by: 's2oci' },
	created: '2026-01-02T03:04:05Z',
};
const history = [{ created_by: 'base' }, { created_by: 'env', empty_layer: true }, { created_by: 'second' }];

function base(family: 'oci' | 'docker' = 'oci', own: object = { history }): Image {
	return testImage({
		family,
		layers: [Buffer.from('one'), Buffer.from('two')],
		config: {
			config: { User: '1001', OnBuild: ['RUN evil'], Healthcheck: { Test: ['x'] } } as never,
			...own,
			moby: { x: [1] },
		},
		annotations: { 'org.opencontainers.image.title': 'the base' },
	}).image;
}

describe('appendLayer', () => {
	test('adds exactly one layer, one diffID and one history entry, and leaves the others as they were', () => {
		const before = base();
		const after = appendLayer(before, layer, change);
		expect(after.layers).toEqual([...before.layers, layer]);
		expect(after.manifest.value.layers.slice(0, -1)).toEqual(before.manifest.value.layers);
		expect(after.config.value.rootfs.diff_ids).toEqual([...before.config.value.rootfs.diff_ids, layer.diffId]);
		expect(after.config.value.history).toEqual([...history, change.history]);
	});

	test('keeps unknown fields, applies the change, drops ONBUILD and the annotations of the base', () => {
		const after = appendLayer(base(), layer, change);
		expect(after.config.value).toMatchObject({ moby: { x: [1] }, created: change.created, architecture: 'amd64' });
		expect(after.config.value.config).toEqual({
			User: '1001',
			Healthcheck: { Test: ['x'] },
			Cmd: ['/usr/libexec/s2i/run'],
		});
		expect(after.manifest.value).not.toHaveProperty('annotations');
		const annotated = appendLayer(base(), layer, { ...change, annotations: { a: 'b' } });
		expect(annotated.manifest.value.annotations).toEqual({ a: 'b' });
	});

	test('uses the media types of the family of the base', () => {
		const after = appendLayer(base('docker'), layer, change);
		expect(after.manifest.value.mediaType).toBe(DOCKER_MANIFEST);
		expect(after.manifest.value.config.mediaType).toBe(DOCKER_CONFIG);
		expect(after.manifest.value.layers.at(-1)?.mediaType).toBe('application/vnd.docker.image.rootfs.diff.tar.gzip');
	});

	test.each<[string, unknown, readonly (boolean | undefined)[]]>([
		['none', undefined, [undefined, undefined, undefined]],
		['null', null, [undefined, undefined, undefined]],
		['an empty one', [], [undefined, undefined, undefined]],
		['one that is null inside', [null, null], [undefined, undefined, undefined]],
		['one that is too short', [{ created_by: 'all' }], [undefined, undefined, undefined]],
		['only empty steps', [{ empty_layer: true }], [true, undefined, undefined, undefined]],
		[
			'one that is too long',
			[{}, {}, { empty_layer: true }, {}, {}],
			[true, true, true, undefined, undefined, undefined],
		],
	])('has one history entry for each layer on a base with %s', (_title, own, expected) => {
		const after = appendLayer(base('oci', own === undefined ? {} : { history: own }), layer, change).config.value;
		expect(after.history?.map((entry) => entry.empty_layer)).toEqual(expected);
		expect(after.history?.at(-1)).toEqual(change.history);
	});

	test('describes foreign layers as what they are in a registry, and no other layer anew', () => {
		const before = base();
		const [first, second] = before.manifest.value.layers;
		const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
		const layers = [
			{ ...first, mediaType: foreign, urls: ['https://mirror.example/x'], annotations: { a: 'b' } },
			{ ...second, urls: ['https://mirror.example/y'] },
		];
		const manifest = { ...before.manifest, value: { ...before.manifest.value, layers } } as Image['manifest'];
		const after = appendLayer({ ...before, manifest }, layer, change).manifest.value.layers;
		const mediaType = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
		expect(after.slice(0, 2)).toEqual([{ ...first, mediaType, annotations: { a: 'b' } }, second]);
	});

	test('gives the same bytes for the same input, and bytes that are read back as the same image', () => {
		const [one, two] = [appendLayer(base(), layer, change), appendLayer(base(), layer, change)];
		expect(one.manifest.descriptor).toEqual(two.manifest.descriptor);
		const manifest = parseManifest(one.manifest.bytes, { digest: one.manifest.descriptor.digest }, 'x');
		expect(manifest.value).toEqual(one.manifest.value);
		expect(parseConfig(one.config.bytes, one.manifest.value, 'x').value).toEqual(one.config.value);
	});
});

test.each([
	['application/vnd.oci.image.layer.v1.tar', 'none'],
	['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
	['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
	['application/vnd.docker.image.rootfs.diff.tar', 'none'],
	['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', 'zstd'],
	['application/vnd.docker.image.rootfs.foreign.diff.tar', 'none'],
])('the compression of %s is %s', (mediaType, compression) => {
	expect(layerCompression(mediaType)).toBe(compression);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBuildError } from '../../../src/errors.js';
import { digestOf } from '../../../src/oci/digest.js';
import { isIndex, parseConfig, parseManifest } from '../../../src/oci/manifest.js';
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { jsonBytes, testImage } from '../../support/images.js';

const digest = `sha256:${'a'.repeat(64)}`;
const config = { mediaType: OCI_CONFIG, digest, size: 2 };
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 10 };
const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ mediaType: OCI_MANIFEST, digest, size: 5 }] };

function parse(value: unknown, expected = {}): ReturnType<typeof parseManifest> {
	return parseManifest(jsonBytes(value), expected, 'example.com/app:v1');
}

function codeOf(action: () => unknown): string {
	try {
		action();
	} catch (error) {
		return isBuildError(error) ? error.code : `a bug: ${String(error)}`;
	}
	return 'nothing thrown';
}

describe('parseManifest', () => {
	test('keeps the exact bytes and unknown fields', () => {
		const bytes = new TextEncoder().encode(JSON.stringify({ ...manifest, unknown: { a: 1 } }, undefined, 3));
		const document = parseManifest(bytes, { digest: digestOf(bytes) }, 'x');
		expect(document.bytes).toBe(bytes);
		expect(document.value).toMatchObject({ unknown: { a: 1 } });
		expect(document.descriptor).toEqual({ mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length });
	});

	test('takes the media type from the header when the body has none', () => {
		const bare = { schemaVersion: 2, config, layers: [layer] };
		expect(parse(bare, { mediaType: `${DOCKER_MANIFEST}; charset=utf-8` }).value.mediaType).toBe(DOCKER_MANIFEST);
		expect(parse(bare, { mediaType: 'application/json' }).value.mediaType).toBe(OCI_MANIFEST);
		expect(isIndex(parse(index))).toBe(true);
	});

	test.each<[string, unknown, string | undefined]>([
		['both layers and manifests', { ...manifest, manifests: index.manifests }, undefined],
		['an index with layers', { ...index, layers: [] }, undefined],
		['an index with a config', { ...index, config }, undefined],
		['a body that is not what the header says', manifest, OCI_INDEX],
		['a Docker body under an OCI header', { ...manifest, mediaType: DOCKER_MANIFEST }, OCI_MANIFEST],
		['an index that calls itself a manifest', { ...index, mediaType: OCI_MANIFEST }, undefined],
		['a negative size', { ...manifest, layers: [{ ...layer, size: -1 }] }, undefined],
		['a fractional size', { ...manifest, layers: [{ ...layer, size: 1.5 }] }, undefined],
		['an unsafe size', { ...manifest, layers: [{ ...layer, size: 2 ** 60 }] }, undefined],
		['a digest that is a path', { ...manifest, layers: [{ ...layer, digest: 'sha256:../../x' }] }, undefined],
		['an upper-case digest', { ...manifest, config: { ...config, digest: digest.toUpperCase() } }, undefined],
		['no config', { ...manifest, config: undefined }, undefined],
		['too many layers', { ...manifest, layers: Array.from({ length: 501 }, () => layer) }, undefined],
		['an array', [manifest], undefined],
		['null', null, undefined],
		['a mediaType that is no string', { ...manifest, mediaType: 5 }, undefined],
	])('refuses %s (CVE-2021-41190 and its kin)', (_title, value, mediaType) => {
		expect(codeOf(() => parse(value, mediaType === undefined ? {} : { mediaType }))).toBe('IMAGE_INVALID');
	});

	test.each<[string, unknown]>([
		['schema 1', { schemaVersion: 1, fsLayers: [] }],
		['another kind of document', { ...manifest, mediaType: 'application/vnd.example+json' }],
		['a layer that is no tar', { ...manifest, layers: [{ ...layer, mediaType: 'application/vnd.in-toto+json' }] }],
	])('does not support %s', (_title, value) => {
		expect(codeOf(() => parse(value))).toBe('IMAGE_UNSUPPORTED');
	});

	test.each([
		'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
		'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
	])('takes layers of type %s, and URLs beside them, like others', (mediaType) => {
		const foreign = { ...layer, mediaType, urls: ['https://mirror.example/x'] };
		expect(parse({ ...manifest, layers: [foreign] }).value).toMatchObject({ layers: [foreign] });
	});

	test('reads null as Go does: as nothing in a field, as the zero value in a list or map', () => {
		const none = { annotations: null, urls: null, platform: null, artifactType: null };
		const value = parse({
			...{ ...manifest, mediaType: null, schemaVersion: null, manifests: null, artifactType: null, subject: null },
			...{ config: { ...config, ...none, data: null }, layers: [{ ...layer, ...none, annotations: { a: null } }] },
		}).value;
		expect(value).toEqual({
			...{ ...manifest, mediaType: OCI_MANIFEST, schemaVersion: undefined, manifests: null, subject: null },
			...{ config: { ...config, data: null }, layers: [{ ...layer, annotations: { a: '' } }] },
		});
		const platform = { os: 'linux', architecture: 'amd64', variant: null, 'os.features': null };
		const entry = { ...index.manifests[0], annotations: null, platform };
		const nulled = { ...index, layers: null, config: null, annotations: null, manifests: [entry] };
		expect(parse(nulled).value).toMatchObject({
			manifests: [{ platform: { os: 'linux', architecture: 'amd64', 'os.features': null } }],
		});
		expect(parse({ ...index, manifests: null }).value).toMatchObject({ manifests: [] });
		expect(parse({ ...manifest, layers: null }).value).toMatchObject({ layers: [] });
	});

	test('refuses bytes that are not JSON, not UTF-8, or too many', () => {
		expect(codeOf(() => parseManifest(Buffer.from('{'), {}, 'x'))).toBe('IMAGE_INVALID');
		expect(codeOf(() => parseManifest(Buffer.from([0x22, 0xff, 0x22]), {}, 'x'))).toBe('IMAGE_INVALID');
		expect(codeOf(() => parseManifest(Buffer.alloc(4 * 1024 * 1024 + 1, ' '), {}, 'x'))).toBe('IMAGE_INVALID');
	});

	test('refuses another document than the one that was pinned', () => {
		const other = digestOf(Buffer.from('other'));
		expect(codeOf(() => parse(manifest, { digest: other }))).toBe('DIGEST_MISMATCH');
	});

	test('any JSON at all is either an image or a BuildError', () => {
		const fields = fc.record(
			{
				schemaVersion: fc.oneof(fc.constant(2), fc.integer()),
				mediaType: fc.oneof(fc.constantFrom(OCI_MANIFEST, OCI_INDEX, DOCKER_INDEX), fc.string()),
				config: fc.oneof(fc.constant(config), fc.jsonValue()),
				layers: fc.oneof(fc.constant([layer]), fc.jsonValue()),
				manifests: fc.oneof(fc.constant(index.manifests), fc.jsonValue()),
			},
			{ requiredKeys: [] },
		);
		fc.assert(
			fc.property(fc.oneof(fields, fc.jsonValue()), (value) => {
				expect(codeOf(() => parse(value))).toMatch(/^(?:IMAGE_|nothing thrown)/);
			}),
		);
	});
});

describe('parseConfig', () => {
	test('keeps unknown fields and treats null as absent', () => {
		const parsed = testImage({
			config: { history: null, config: { Env: null, Healthcheck: { Interval: 5 } }, moby: { a: null } } as never,
		}).image.config.value;
		expect(parsed).toMatchObject({ config: { Healthcheck: { Interval: 5 } }, moby: { a: null } });
		expect(parsed.config).not.toHaveProperty('Env');
		expect(parsed).not.toHaveProperty('history');
	});

	test('reads null as Go does wherever it stands, and a command that is one string as Docker does', () => {
		const parsed = testImage({
			config: {
				...{ architecture: null, variant: null, created: null, author: null },
				config: {
					...{ User: null, Cmd: '/bin/run', Entrypoint: 'entry', OnBuild: null, Env: ['A=1', null] },
					...{ Labels: { a: null, b: 'c' }, Volumes: { '/v': null }, ExposedPorts: { '80/tcp': null } },
				},
				history: [null, { created: null, created_by: null, empty_layer: null }],
			} as never,
		}).image.config.value;
		expect(parsed).toEqual({
			...{ os: 'linux', author: null, rootfs: parsed.rootfs, history: [{}, {}] },
			config: {
				...{ Cmd: ['/bin/run'], Entrypoint: ['entry'], Env: ['A=1', ''], Labels: { a: '', b: 'c' } },
				...{ Volumes: { '/v': {} }, ExposedPorts: { '80/tcp': null } },
			},
		});
	});

	test.each<[string, unknown]>([
		['a label that is a number', { Labels: { a: 1 } }],
		['a volume that is a text', { Volumes: { '/v': 'x' } }],
		['an Env that is a text', { Env: 'A=1' }],
		['a command of numbers', { Cmd: [1] }],
	])('refuses %s, as Go does', (_title, container) => {
		expect(codeOf(() => testImage({ config: { config: container } as never }))).toBe('IMAGE_INVALID');
	});

	test('refuses a config with another number of layers, of another artifact, or with other bytes', () => {
		const { image } = testImage();
		const one = image.manifest.value;
		expect(codeOf(() => parseConfig(image.config.bytes, { ...one, layers: [] }, 'x'))).toBe('IMAGE_INVALID');
		expect(codeOf(() => parseConfig(Buffer.from('{}'), one, 'x'))).toBe('DIGEST_MISMATCH');
		const chart = { ...one, config: { ...one.config, mediaType: 'application/vnd.cncf.helm.config.v1+json' } };
		expect(codeOf(() => parseConfig(image.config.bytes, chart, 'x'))).toBe('IMAGE_UNSUPPORTED');
	});
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
	ARTIFACTS_TYPE,
	type ArtifactKey,
	artifactDocument,
	artifactTags,
	bestArtifacts,
	readArtifact,
} from '../../../src/oci/artifact.js';
import type { Document } from '../../../src/oci/descriptor.js';
import { digestOf } from '../../../src/oci/digest.js';
import type { Manifest } from '../../../src/oci/image.js';
import { parseConfig, parseManifest } from '../../../src/oci/manifest.js';
import { formatReference, parseReference } from '../../../src/oci/reference.js';

const digest = digestOf(Buffer.from('blob'));
const packed = { digest, diffId: digestOf(Buffer.from('tar')), size: 4 };
const key: ArtifactKey = {
	builder: digestOf(Buffer.from('builder')),
	source: 'https://git.example/team/app',
	contextDir: undefined,
	platform: { os: 'linux', architecture: 'amd64' },
};
const other = { ...key, builder: digestOf(Buffer.from('newer builder')) };

describe('the tags of artifacts', () => {
	test('are tags', () => {
		for (const tag of Object.values(artifactTags(key))) {
			expect(formatReference(parseReference(`registry.example/cache:${tag}`))).toBe(`registry.example/cache:${tag}`);
		}
	});

	test('depend on source, context directory and platform, and the exact one on the builder image', () => {
		expect(artifactTags(other).similar).toBe(artifactTags(key).similar);
		const arm = { os: 'linux', architecture: 'arm64' };
		const keys = [key, { ...key, source: 'x' }, { ...key, contextDir: 'x' }, { ...key, platform: arm }];
		expect(new Set(keys.map((each) => artifactTags(each).similar)).size).toBe(4);
		expect(new Set([...keys, other].map((each) => artifactTags(each).exact)).size).toBe(5);
	});
});

const builtImage = digestOf(Buffer.from('an image'));

describe.each([
	['artifact', false],
	['plain image', true],
])('artifacts as an %s', (_name, plain) => {
	const { manifest, config } = artifactDocument(packed, key, { epoch: 1_700_000_000, image: builtImage }, plain);
	const parsed = parseManifest(manifest.bytes, manifest.descriptor, 'it');

	test('are a manifest that names its blobs, and the same bytes each time', () => {
		expect(parsed.value).toMatchObject({
			config: config.descriptor,
			layers: [{ digest, size: 4 }],
			annotations: { 'org.opencontainers.image.created': '2023-11-14T22:13:20Z' },
		});
		expect(config.descriptor).toMatchObject({ digest: digestOf(config.bytes), size: config.bytes.length });
		expect(artifactDocument(packed, key, { epoch: 1_700_000_000, image: builtImage }, plain)).toEqual({
			manifest,
			config,
		});
	});

	test('are found again by the same builder image and by another version of it', () => {
		const found = {
			layer: expect.objectContaining({ digest }) as unknown,
			created: '2023-11-14T22:13:20Z',
			image: builtImage,
		};
		expect(readArtifact(parsed, key)).toEqual({ ...found, isExact: true });
		expect(readArtifact(parsed, other)).toEqual({ ...found, isExact: false });
	});

	test('say what they are in the way that registries understand', () => {
		const { value } = parsed as Document<Manifest & { artifactType?: string }>;
		expect(value.artifactType).toBe(plain ? undefined : ARTIFACTS_TYPE);
		if (!plain) expect(value.config.mediaType).toBe('application/vnd.oci.empty.v1+json');
		else expect(parseConfig(config.bytes, value, 'it').value.rootfs.diff_ids).toEqual([packed.diffId]);
	});
});

describe('a manifest that is something else', () => {
	const { manifest } = artifactDocument(packed, key, { epoch: 0, image: builtImage }, false);
	const [layer] = manifest.value.layers;
	const { annotations } = manifest.value;
	test.each<[string, object]>([
		['an ordinary image', { annotations: {} }],
		['without annotations', { annotations: undefined }],
		['without layers', { layers: [] }],
		['with two layers', { layers: [layer, layer] }],
		['with a layer of another type', { layers: [{ ...layer, mediaType: 'application/vnd.x' }] }],
		['of another type of artifacts', { annotations: { ...annotations, 'io.s2oci.artifacts.type': 'v2' } }],
	])('%s is not taken for artifacts', (_name, change) => {
		expect(readArtifact({ ...manifest, value: { ...manifest.value, ...change } }, key)).toBeUndefined();
	});

	test('an index is not taken for artifacts', () => {
		const index = { schemaVersion: 2, mediaType: manifest.value.mediaType, manifests: [] } as const;
		expect(readArtifact({ ...manifest, value: index }, key)).toBeUndefined();
	});
});

test('the best artifacts are those of the same builder image, then the newest, and bad dates are the oldest', () => {
	const created = fc.constantFrom('2024-01-01T00:00:00Z', '2025-06-01T00:00:00Z', 'nonsense', '');
	const candidates = fc.array(fc.record({ isExact: fc.boolean(), created }), { maxLength: 8 });
	fc.assert(
		fc.property(candidates, (found) => {
			const ranks = bestArtifacts(found).map((each) => [each.isExact ? 1 : 0, Date.parse(each.created) || 0] as const);
			for (const [index, [exact, time]] of ranks.slice(1).entries()) {
				const [before, beforeTime] = ranks[index] ?? [0, 0];
				expect(before > exact || (before === exact && beforeTime >= time)).toBe(true);
			}
			expect(ranks).toHaveLength(found.length);
		}),
	);
});

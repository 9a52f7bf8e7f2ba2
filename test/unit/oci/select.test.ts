import { describe, expect, test } from 'vitest';
import type { Descriptor } from '../../../src/oci/descriptor.js';
import type { Digest } from '../../../src/oci/digest.js';
import type { Index } from '../../../src/oci/image.js';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { findCandidates, noImage } from '../../../src/oci/select.js';

const digest = `sha256:${'a'.repeat(64)}` as Digest;
const bare = (size: number): Descriptor => ({ mediaType: OCI_MANIFEST, digest, size });
const entry = (architecture: string, variant = '', size = 1): Descriptor => ({
	...bare(size),
	platform: { os: 'linux', architecture, ...(variant === '' ? {} : { variant }) },
});
const attestation: Descriptor = { ...bare(90), platform: { os: 'unknown', architecture: 'unknown' } };
const marked: Descriptor = {
	...entry('amd64', '', 91),
	annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
};
const indexOf = (manifests: readonly Descriptor[]): Index => ({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
const sizes = (manifests: readonly Descriptor[], architecture = 'amd64', variant?: string): readonly number[] =>
	findCandidates(indexOf(manifests), { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) }).map(
		(candidate) => candidate.entry.size,
	);

describe('findCandidates', () => {
	test('has the best variant that the host can run first', () => {
		const offered = [entry('arm', 'v5', 5), entry('arm', 'v6', 6), entry('arm', 'v7', 7), entry('arm64', 'v8', 8)];
		expect(sizes(offered, 'arm', 'v7')).toEqual([7, 6, 5]);
		expect(sizes(offered, 'arm', 'v6')).toEqual([6, 5]);
		expect(sizes(offered, 'arm64')).toEqual([8]);
	});

	test('has what does not say its platform behind what does, and artifacts last', () => {
		const sbom = { ...bare(2), artifactType: 'application/spdx+json' };
		const image = { ...bare(3), artifactType: OCI_CONFIG };
		const named = { ...entry('amd64', '', 5), artifactType: 'application/vnd.example.signature' };
		expect(sizes([sbom, bare(1), image, attestation, marked, named, entry('amd64', '', 4)])).toEqual([4, 1, 3, 5, 2]);
	});

	test.each<[string, object]>([
		['null', {}],
		['empty', { os: '', architecture: '' }],
		['without os', { architecture: 'amd64' }],
		['spelled otherwise', { os: 'Linux', architecture: 'x86_64' }],
	])('takes a platform that is %s', (_title, platform) => {
		expect(sizes([{ ...bare(1), platform }, entry('arm64')])).toEqual([1]);
	});

	test('leaves out what no image can be', () => {
		expect(sizes([{ ...bare(1), mediaType: 'application/vnd.example+json' }, attestation, marked])).toEqual([]);
	});
});

test('what is offered instead is listed', () => {
	const offered = indexOf([attestation, marked, entry('s390x'), entry('arm64', 'v8')]);
	const error = noImage(offered, { os: 'linux', architecture: 'amd64' }, 'app', ['app is no image']);
	expect(error).toMatchObject({ code: 'IMAGE_PLATFORM', message: 'app has no image for linux/amd64' });
	expect(error.hint).toContain('linux/s390x, linux/arm64/v8, app is no image');
});

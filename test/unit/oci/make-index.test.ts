import { describe, expect, test } from 'vitest';
import type { ImageConfig } from '../../../src/oci/image.js';
import { type IndexMember, makeIndex } from '../../../src/oci/make-index.js';
import { DOCKER_INDEX, type MediaFamily, OCI_INDEX } from '../../../src/oci/media-types.js';
import { testImage } from '../../support/images.js';

function member(platform: Partial<ImageConfig>, family: MediaFamily = 'oci'): IndexMember {
	const { image } = testImage({ config: platform, family });
	return { name: `image ${JSON.stringify(platform)}`, ...image };
}

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };

describe('an index', () => {
	test('has its members in their order, each with what its config says', () => {
		const [first, second] = [member(arm64), member(amd64)];
		const { value, descriptor, bytes } = makeIndex([first, second]);
		expect(value).toEqual({
			schemaVersion: 2,
			mediaType: OCI_INDEX,
			manifests: [
				{ ...first.manifest.descriptor, platform: { architecture: 'arm64', os: 'linux', variant: 'v8' } },
				{ ...second.manifest.descriptor, platform: { architecture: 'amd64', os: 'linux' } },
			],
		});
		expect(descriptor).toMatchObject({ mediaType: OCI_INDEX, size: bytes.length });
		expect(makeIndex([first, second]).bytes).toEqual(bytes);
		expect(makeIndex([second, first]).bytes).not.toEqual(bytes);
	});

	test('is a Docker manifest list of Docker images alone, without annotations', () => {
		const docker = [member(amd64, 'docker'), member(arm64, 'docker')];
		expect(makeIndex(docker).value.mediaType).toBe(DOCKER_INDEX);
		expect(makeIndex(docker, { a: 'b' }).value).toMatchObject({ mediaType: OCI_INDEX, annotations: { a: 'b' } });
		expect(makeIndex([member(amd64, 'docker'), member(arm64)]).value.mediaType).toBe(OCI_INDEX);
	});

	test('tells versions of Windows apart', () => {
		const windows = (version: string) => member({ os: 'windows', architecture: 'amd64', 'os.version': version });
		expect(makeIndex([windows('10.0.1'), windows('10.0.2')]).value.manifests[1]?.platform).toEqual({
			...{ architecture: 'amd64', os: 'windows', 'os.version': '10.0.2' },
		});
	});
});

describe('no index', () => {
	test.each([
		[amd64, amd64],
		[{ ...amd64, architecture: 'x86_64' }, amd64],
		[arm64, { os: 'linux', architecture: 'aarch64' }],
		[
			{ os: 'Linux', architecture: 'arm', variant: '7' },
			{ os: 'linux', architecture: 'armhf' },
		],
	])('has two members of one platform: %j, %j', (one, other) => {
		const members = [member({ os: 'linux', architecture: 's390x' }), member(one), member({ ...other, created: '' })];
		expect(() => makeIndex(members)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
	});

	test('takes an older variant for the same platform', () => {
		const arm = { os: 'linux', architecture: 'arm' };
		expect(
			makeIndex([member({ ...arm, variant: 'v6' }), member({ ...arm, variant: 'v7' })]).value.manifests,
		).toHaveLength(2);
	});

	test.each([
		{ os: '', architecture: 'amd64' },
		{ os: 'linux', architecture: '' },
		{ os: 'linux/amd64', architecture: 'a' },
		{ os: 'linux', architecture: '\u001b[31m' },
	])('has a member without a platform: %j', (platform) => {
		expect(() => makeIndex([member(platform)])).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }) as Error);
	});
});

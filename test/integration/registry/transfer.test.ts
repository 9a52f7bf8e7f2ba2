import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { descriptorOf, testImage, writeImage } from '../../support/images.js';
import { type Faults } from '../../support/registry.js';
import {
	logIn,
	pull,
	put,
	repositoryOf,
	retries,
	seed,
	signal,
	start,
	stored,
	user,
} from '../../support/registry-client.js';

const TYPES = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

describe('pushing and pulling', () => {
	test('an image that was pushed is pulled with the same bytes', async () => {
		const registry = await start();
		const { image, blobs } = testImage({ layers: [randomBytes(300_000), randomBytes(10)] });
		const repository = repositoryOf(registry);
		await writeImage({ image, blobs }, repository, 'v1', signal);
		const pulled = await repository.manifest('v1', signal);
		expect(Buffer.from(pulled.bytes)).toEqual(Buffer.from(image.manifest.bytes));
		expect(await repository.resolve('v1', signal)).toEqual(image.manifest.descriptor);
		for (const [digest, bytes] of blobs) expect(digestOf(await pull(repository, bytes))).toBe(digest);
	});

	test('every type of manifest is asked for, by HEAD too: some registries answer 404 otherwise', async () => {
		const registry = await start({ noHead: true });
		const repository = repositoryOf(registry);
		await repository.putManifest(testImage().image.manifest, 'v1', signal);
		await repository.resolve('v1', signal);
		const asked = registry.requests.filter(({ method }) => method !== 'PUT').map(({ accept }) => accept?.split(', '));
		expect(asked).toEqual([TYPES, TYPES]);
	});

	test('a manifest without a tag is pushed under its digest', async () => {
		const registry = await start();
		const { image, blobs } = testImage();
		await writeImage({ image, blobs }, repositoryOf(registry), undefined, signal);
		expect([...registry.manifests.keys()]).toEqual([`team/app@${image.manifest.descriptor.digest}`]);
	});

	test('a registry that does not answer HEAD is asked with GET', async () => {
		const registry = await start({ noHead: true });
		const { image, blobs } = testImage();
		const repository = repositoryOf(registry);
		await repository.putManifest(image.manifest, 'v1', signal);
		expect((await repository.resolve('v1', signal)).digest).toBe(image.manifest.descriptor.digest);
		expect(blobs.size).toBe(2);
	});

	test('a manifest that is not the pinned one is refused', async () => {
		const registry = await start({
			tamper: (bytes) => Buffer.from(Buffer.from(bytes).toString().replace('"size":', '"size": ')),
		});
		const { image } = testImage();
		const repository = repositoryOf(registry);
		await repository.putManifest(image.manifest, 'v1', signal);
		const { digest } = image.manifest.descriptor;
		await expect(repository.manifest(digest, signal)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
		await expect(repository.manifest('v1', signal)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
	});

	test('a manifest of 100 MB is refused after 4 MiB', async () => {
		const registry = await start({ hugeManifest: true });
		await expect(repositoryOf(registry).manifest('v1', signal)).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
	});

	test('what the registry does not have is REGISTRY_NOT_FOUND and names the image', async () => {
		const registry = await start();
		const failure = repositoryOf(registry).manifest('v9', signal);
		await expect(failure).rejects.toMatchObject({
			code: 'REGISTRY_NOT_FOUND',
			message: expect.stringContaining(`${registry.host}/team/app:v9`) as string,
		});
	});

	test('an immutable tag that holds the same manifest is success, another one is not', async () => {
		const registry = await start({ immutableTags: true });
		const repository = repositoryOf(registry);
		const { manifest } = testImage().image;
		await repository.putManifest(manifest, 'v1', signal);
		await expect(repository.putManifest(manifest, 'v1', signal)).resolves.toBeUndefined();
		const other = testImage({ layers: [Buffer.from('other')] }).image.manifest;
		await expect(repository.putManifest(other, 'v1', signal)).rejects.toMatchObject({
			code: 'REGISTRY_REFUSED',
			message: expect.stringContaining('immutable') as string,
		});
	});
});

describe('blobs', () => {
	test.each([
		['resumes with a Range', {}],
		['skips what it has when the Range is ignored', { ignoreRange: true }],
	])('a download that is cut twice %s', async (_title, faults) => {
		const registry = await start({ ...faults, cut: { count: 2, after: 150_000 } });
		const bytes = randomBytes(1_000_000);
		seed(registry, bytes);
		expect(digestOf(await pull(repositoryOf(registry), bytes))).toBe(digestOf(bytes));
		expect(registry.requests.filter(({ method }) => method === 'GET')).toHaveLength(3);
		expect(retries).toHaveLength(2);
	});

	test('a download that is cut again and again fails as REGISTRY_UNREACHABLE', async () => {
		const registry = await start({ cut: { count: 99, after: 0 } });
		const bytes = randomBytes(1000);
		seed(registry, bytes);
		await expect(pull(repositoryOf(registry), bytes)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
	});

	test.each([['wrongDigest'], ['wrongLength']])('content with the fault %s ends in DIGEST_MISMATCH', async (fault) => {
		const registry = await start({ [fault]: true });
		const bytes = randomBytes(100_000);
		seed(registry, bytes);
		await expect(pull(repositoryOf(registry), bytes)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
	});

	test.each<[string, Faults]>([
		['are compressed on their way', { gzip: 'real' }],
		['are said to be compressed, but are not', { gzip: 'claimed' }],
		['are compressed by the storage they are in', { gzip: 'real', redirectBlobs: true }],
		['are compressed, and a token is needed', { gzip: 'real', bearer: user }],
	])('answers that %s are what they should be', async (_title, faults) => {
		const registry = await start(faults);
		await logIn(registry.host);
		const { image, blobs } = testImage({ layers: [gzipSync(randomBytes(3000)), randomBytes(100)] });
		const repository = repositoryOf(registry);
		await writeImage({ image, blobs }, repository, 'v1', signal);
		expect((await repository.manifest('v1', signal)).descriptor).toEqual(image.manifest.descriptor);
		expect(await repository.resolve('v1', signal)).toEqual(image.manifest.descriptor);
		for (const [digest, bytes] of blobs) expect(digestOf(await pull(repository, bytes))).toBe(digest);
	});

	test('a redirect to storage on another port carries no Authorization (CVE-2020-15157)', async () => {
		const registry = await start({ redirectBlobs: true, basic: user });
		await logIn(registry.host);
		const bytes = randomBytes(1000);
		seed(registry, bytes);
		expect(digestOf(await pull(repositoryOf(registry), bytes))).toBe(digestOf(bytes));
		const moved = registry.requests.filter(({ server }) => server === 'storage');
		expect(moved).toHaveLength(1);
		expect(moved[0]?.authorization).toBeUndefined();
	});

	test.each(['http://169.254.169.254/latest', 'file:///etc/passwd', 'ftp://example.com/x'])(
		'a redirect to %s is refused',
		async (redirectTo) => {
			const registry = await start({ redirectTo });
			const bytes = randomBytes(10);
			seed(registry, bytes);
			await expect(pull(repositoryOf(registry), bytes)).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
		},
	);

	test('redirects in a circle end', async () => {
		const blob = descriptorOf(Buffer.from('round'));
		const registry = await start({ redirectTo: `/v2/team/app/blobs/${blob.digest}` });
		seed(registry, Buffer.from('round'));
		await expect(pull(repositoryOf(registry), Buffer.from('round'))).rejects.toMatchObject({
			code: 'REGISTRY_REFUSED',
		});
	});

	test('an aborted download fails with the reason of the abort', async () => {
		const registry = await start({ slow: 2000 });
		const controller = new AbortController();
		const opening = repositoryOf(registry).open(descriptorOf(Buffer.from('x')), controller.signal);
		const reason = new Error('stopped by the test');
		setTimeout(() => controller.abort(reason), 50);
		await expect(opening).rejects.toBe(reason);
	});
});

describe('uploads', () => {
	test.each<[string, Faults]>([
		['an absolute Location', {}],
		['a relative Location', { location: 'relative' }],
		['204 instead of 201', { blobPutStatus: 204 }],
	])('a blob is uploaded to a registry with %s', async (_title, faults) => {
		const registry = await start(faults);
		const bytes = randomBytes(100_000);
		await put(repositoryOf(registry), bytes);
		expect(digestOf(stored(registry, bytes))).toBe(digestOf(bytes));
		// GitHub refuses a Content-Range for all of it.
		expect(registry.requests.filter(({ contentRange }) => contentRange !== undefined)).toEqual([]);
	});

	test('a Location on another origin gets the content but no Authorization', async () => {
		const registry = await start({ location: 'foreign', basic: user });
		await logIn(registry.host);
		const bytes = randomBytes(1000);
		await put(repositoryOf(registry), bytes);
		const moved = registry.requests.filter(({ server }) => server === 'storage');
		expect(moved.map(({ method, authorization }) => [method, authorization])).toEqual([['PUT', undefined]]);
		expect(registry.blobs.size).toBe(1);
	});

	test('a Location at the metadata address of a cloud is refused (oras CVE-2026-50151)', async () => {
		const registry = await start({ location: 'http://169.254.169.254/upload' });
		await expect(put(repositoryOf(registry), randomBytes(10))).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
	});

	test('a body that a proxy finds too large is sent in chunks below 4 MiB, the last one with the PUT', async () => {
		const registry = await start({ bodyLimit: 4 * 1024 * 1024 - 1 });
		const bytes = randomBytes(9_000_000);
		await put(repositoryOf(registry), bytes);
		expect(digestOf(stored(registry, bytes))).toBe(digestOf(bytes));
		const sent = registry.requests.filter(({ contentRange }) => contentRange !== undefined);
		expect(sent.map(({ method }) => method)).toEqual(['PATCH', 'PATCH', 'PUT']);
		expect(sent.map(({ contentRange }) => contentRange)).toEqual(['0-4194302', '4194303-8388605', '8388606-8999999']);
	});

	test('an upload that fails twice begins again with fresh content', async () => {
		const registry = await start({ failures: { count: 2, status: 503, method: 'PUT', path: /uploads\/.+/ } });
		const bytes = randomBytes(1000);
		let opened = 0;
		const content = (): Promise<Readable> => {
			opened += 1;
			return Promise.resolve(Readable.from([bytes], { objectMode: false }));
		};
		await repositoryOf(registry).put(descriptorOf(bytes), content, signal);
		expect(opened).toBe(3);
		expect(registry.blobs.size).toBe(1);
	});

	test('a failure of the content is reported as what it is, not as a registry failure', async () => {
		const registry = await start();
		const broken = new Error('the disk is gone');
		const content = (): Promise<Readable> =>
			Promise.resolve(
				Readable.from(
					(function* () {
						yield Buffer.alloc(10);
						throw broken;
					})(),
					{ objectMode: false },
				),
			);
		const failure = repositoryOf(registry).put(descriptorOf(Buffer.alloc(20)), content, signal);
		await expect(failure).rejects.toThrow('the disk is gone');
		expect(registry.blobs.size).toBe(0);
	});

	test('has tells what the repository holds', async () => {
		const registry = await start();
		const blob = seed(registry, Buffer.from('here'));
		const repository = repositoryOf(registry);
		expect(await repository.has(blob, signal)).toBe(true);
		expect(await repository.has(descriptorOf(Buffer.from('not here')), signal)).toBe(false);
	});
});

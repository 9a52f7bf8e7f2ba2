import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import { descriptorOf } from '../../support/images.js';
import { type Faults } from '../../support/registry.js';
import { connect, logIn, put, repositoryOf, seed, signal, start, stored, user } from '../../support/registry-client.js';

const MIB = 1024 * 1024;

describe('a registry that knows POST, PATCH and PUT only', () => {
	test.each([400, 404, 405, 409, 415, 416, 422, 500, 501, 502, 503, 'hang up'] as const)(
		'and answers a PUT with content with %s gets PATCH and a PUT without, later blobs at once',
		async (putContent) => {
			const registry = await start({ putContent });
			const repository = repositoryOf(registry);
			const [first, second] = [randomBytes(100_000), randomBytes(100_001)];
			await put(repository, first);
			expect(digestOf(stored(registry, first))).toBe(digestOf(first));
			const before = registry.requests.length;
			await put(repository, second);
			expect(digestOf(stored(registry, second))).toBe(digestOf(second));
			expect(registry.requests.slice(before).map(({ method }) => method)).toEqual(['POST', 'PATCH', 'PUT']);
		},
	);

	test.each<[string, Faults]>([
		['limits bodies', { bodyLimit: 4 * MIB - 1 }],
		['limits bodies to 1 MiB, as nginx does', { bodyLimit: MIB }],
		['limits bodies and moves sessions', { bodyLimit: 4 * MIB - 1, rotate: true }],
		['wants chunks of 6 MiB', { bodyLimit: 8 * MIB, chunkMinimum: 6 * MIB }],
	])('and %s gets PATCHes and a PUT without content', async (_title, faults) => {
		const registry = await start({ ...faults, putContent: 404 });
		const bytes = randomBytes(12 * MIB);
		await put(repositoryOf(registry), bytes);
		expect(digestOf(stored(registry, bytes))).toBe(digestOf(bytes));
	});
});

test.each<[string, Faults]>([
	['limits bodies to 1 MiB', { bodyLimit: MIB }],
	['limits bodies to 4 MiB and answers 416, as GitHub', { bodyLimit: 4 * MIB - 1, limitStatus: 416 }],
	['answers PATCH with 201, as ECR', { bodyLimit: 4 * MIB - 1, patchStatus: 201 }],
	['limits bodies and moves sessions', { bodyLimit: 4 * MIB - 1, rotate: true }],
	['limits bodies and wants chunks of 6 MiB', { bodyLimit: 8 * MIB, chunkMinimum: 6 * MIB }],
	['refuses PUT without content after chunks, as ECR', { bodyLimit: 4 * MIB - 1, putEmpty: 400 }],
])('a registry that %s gets chunks, and large blobs later at once', async (_title, faults) => {
	const registry = await start(faults);
	const repository = repositoryOf(registry);
	const [first, second] = [randomBytes(9_000_000), randomBytes(9_000_001)];
	await put(repository, first);
	expect(digestOf(stored(registry, first))).toBe(digestOf(first));
	const before = registry.requests.length;
	await put(repository, second);
	expect(digestOf(stored(registry, second))).toBe(digestOf(second));
	expect(registry.requests.slice(before).filter(({ method }) => method === 'POST')).toHaveLength(1);
});

test.each<[string, Faults]>([
	['https on a host that speaks http', { location: 'https' }],
	['a host without a scheme', { location: 'host' }],
	['only // and a host', { location: 'scheme-less' }],
	['nothing but Docker-Upload-UUID', { location: 'none' }],
])('a Location of %s is understood', async (_title, faults) => {
	const registry = await start(faults);
	const bytes = randomBytes(1000);
	await put(repositoryOf(registry), bytes);
	expect(digestOf(stored(registry, bytes))).toBe(digestOf(bytes));
});

describe('after a PUT that is answered with 200 or 202', () => {
	test.each([200, 202])('a blob that is there is pushed (%i)', async (blobPutStatus) => {
		const registry = await start({ blobPutStatus });
		const bytes = randomBytes(1000);
		await put(repositoryOf(registry), bytes);
		expect(registry.requests.map(({ method }) => method)).toEqual(['POST', 'PUT', 'HEAD']);
	});

	test('one that is not there is sent with PATCH', async () => {
		const registry = await start({ blobPutStatus: 200, forgetBlobs: true });
		const bytes = randomBytes(1000);
		await put(repositoryOf(registry), bytes);
		expect(digestOf(stored(registry, bytes))).toBe(digestOf(bytes));
	});
});

describe('a blob that is there is not uploaded again', () => {
	test.each<[string, Faults]>([
		['is answered with 400', { headBlob: 400 }],
		['is answered with 403', { headBlob: 403 }],
		['is answered with 405', { headBlob: 405 }],
		['is answered with 501', { headBlob: 501 }],
		['tells no length', { noLength: true }],
		['leads to the storage', { headBlob: '' }],
		['leads to storage that answers GET only', { headBlob: '', storageHead: 403, redirectBlobs: true }],
	])('where HEAD of it %s', async (_title, faults) => {
		const registry = await start({ ...faults, bearer: user });
		await logIn(registry.host);
		const blob = seed(registry, randomBytes(1000));
		expect(await repositoryOf(registry).has(blob, signal)).toBe(true);
		const moved = registry.requests.filter(({ server }) => server === 'storage');
		expect(moved.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
	});
});

test.each(['http://127.0.0.1:1/blob', 'http://169.254.169.254/blob', 'gopher://x', '/'])(
	'where HEAD of a blob leads to %s, it is uploaded',
	async (headBlob) => {
		const registry = await start({ headBlob, mount: 'refuse' });
		const bytes = randomBytes(1000);
		const repository = repositoryOf(registry);
		expect(await repository.has(descriptorOf(bytes), signal)).toBe(false);
		await put(repository, bytes);
		expect(digestOf(stored(registry, bytes))).toBe(digestOf(bytes));
	},
);

test.each([403, 405, 500])('where HEAD of a blob is answered with %i, it is uploaded', async (headBlob) => {
	const registry = await start({ headBlob });
	const bytes = randomBytes(1000);
	const repository = repositoryOf(registry, 'team/app', connect());
	expect(await repository.has(descriptorOf(bytes), signal)).toBe(false);
	await put(repository, bytes);
	expect(digestOf(stored(registry, bytes))).toBe(digestOf(bytes));
});

test('a registry that refuses every way says what it said first, and no session is left', async () => {
	const registry = await start({ putContent: 400, noPatch: true });
	const failure = put(repositoryOf(registry), randomBytes(1000));
	await expect(failure).rejects.toMatchObject({
		code: 'REGISTRY_REFUSED',
		message: expect.stringContaining('HTTP 400 BLOB_UPLOAD_UNKNOWN') as string,
	});
	expect(registry.requests.map(({ method }) => method)).toEqual(['POST', 'PUT', 'DELETE', 'POST', 'PATCH', 'DELETE']);
});

test('a registry that forbids to push is not asked in another way', async () => {
	const registry = await start({ putContent: 403 });
	await expect(put(repositoryOf(registry), randomBytes(10))).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
	expect(registry.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
});

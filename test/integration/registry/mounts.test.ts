import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import {
	connect,
	logIn,
	put,
	repositoryOf,
	seed,
	signal,
	start,
	stored,
	user,
	waits,
} from '../../support/registry-client.js';

describe('mounting', () => {
	test('an accepted mount moves no bytes', async () => {
		const registry = await start({ mount: 'accept' });
		const blob = seed(registry, randomBytes(1000), 'base/image');
		const registries = connect();
		const base = repositoryOf(registry, 'base/image', registries);
		const app = repositoryOf(registry, 'team/app', registries);
		expect(await app.mount(blob, base, signal)).toBe(true);
		expect(await app.has(blob, signal)).toBe(true);
	});

	test('a refused mount (202) is false, and its session is used by the upload that follows', async () => {
		const registry = await start({ mount: 'refuse' });
		const bytes = randomBytes(1000);
		const blob = seed(registry, bytes, 'base/image');
		const registries = connect();
		const base = repositoryOf(registry, 'base/image', registries);
		const app = repositoryOf(registry, 'team/app', registries);
		expect(await app.mount(blob, base, signal)).toBe(false);
		await put(app, bytes);
		expect(registry.requests.map(({ method }) => method)).toEqual(['POST', 'PUT']);
	});

	test.each([400, 401, 403, 404, 405, 409, 429, 500, 501, 502, 503, 200, 'unkept', 'hang up'] as const)(
		'a mount that is answered with %s is refused, not an error, and an upload follows',
		async (mount) => {
			const registry = await start({ mount });
			const bytes = randomBytes(10);
			const blob = seed(registry, bytes, 'base/image');
			const registries = connect();
			const base = repositoryOf(registry, 'base/image', registries);
			const app = repositoryOf(registry, 'team/app', registries);
			expect(await app.mount(blob, base, signal)).toBe(false);
			await put(app, bytes);
			expect(digestOf(stored(registry, bytes))).toBe(blob.digest);
			expect(waits.length).toBeLessThan(2);
		},
	);

	test('a mount whose token is refused is no error, and an upload follows with a token of its own', async () => {
		const registry = await start({ mount: 'accept', bearer: user, oneScope: true });
		await logIn(registry.host);
		const bytes = randomBytes(10);
		const blob = seed(registry, bytes, 'base/image');
		const registries = connect();
		const base = repositoryOf(registry, 'base/image', registries);
		const app = repositoryOf(registry, 'team/app', registries);
		expect(await app.mount(blob, base, signal)).toBe(false);
		await put(app, bytes);
		expect(digestOf(stored(registry, bytes))).toBe(blob.digest);
	});

	test('the session of a refused mount that nobody uses is cancelled at the end', async () => {
		const registry = await start({ mount: 'refuse' });
		const blob = seed(registry, randomBytes(10), 'base/image');
		const registries = connect();
		const base = repositoryOf(registry, 'base/image', registries);
		await repositoryOf(registry, 'team/app', registries).mount(blob, base, signal);
		await registries.close();
		expect(registry.requests.map(({ method }) => method)).toEqual(['POST', 'DELETE']);
	});

	test('a blob of another registry is never offered for mounting', async () => {
		const [registry, other] = [await start({ mount: 'accept' }), await start()];
		const blob = seed(other, randomBytes(10), 'base/image');
		const registries = connect();
		const base = repositoryOf(other, 'base/image', registries);
		expect(await repositoryOf(registry, 'team/app', registries).mount(blob, base, signal)).toBe(false);
		expect(registry.requests).toEqual([]);
	});
});

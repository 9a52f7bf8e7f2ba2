import { describe, expect, test } from 'vitest';
import { testImage, writeImage } from '../../support/images.js';
import { connect, logIn, repositoryOf, signal, start, user } from '../../support/registry-client.js';

const made = testImage();
const { digest } = made.image.manifest.descriptor;

describe('deleting a manifest', () => {
	test('takes it and its tags away, and is no error when it is gone already', async () => {
		const registry = await start();
		const repository = repositoryOf(registry);
		await writeImage(made, repository, 'one', signal);
		await writeImage(made, repository, 'two', signal);
		await repository.remove?.(digest, signal);
		expect([...registry.manifests.keys()]).toEqual([]);
		await expect(repository.remove?.(digest, signal)).resolves.toBeUndefined();
	});

	test('asks for a token that may delete', async () => {
		const registry = await start({ bearer: user });
		await logIn(registry.host);
		const repository = repositoryOf(registry, 'team/app', connect());
		await writeImage(made, repository, 'one', signal);
		await repository.remove?.(digest, signal);
		const scopes = registry.requests.filter(({ server }) => server === 'token').map(({ path }) => path);
		expect(scopes.at(-1)).toContain(encodeURIComponent('repository:team/app:delete'));
	});

	test('is an error where the registry does not allow it', async () => {
		const registry = await start({ noDelete: true });
		const repository = repositoryOf(registry);
		await writeImage(made, repository, 'one', signal);
		await expect(repository.remove?.(digest, signal)).rejects.toMatchObject({
			code: 'REGISTRY_REFUSED',
			message: expect.stringContaining('HTTP 405 UNSUPPORTED') as unknown,
		});
		expect(registry.manifests.has('team/app:one')).toBe(true);
	});
});

import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { connect, logIn, pull, put, repositoryOf, seed, start, user, warnings } from '../../support/registry-client.js';

test('what a registry says in Warning headers is told once, however often and wherever it says it', async () => {
	const said = ['299 - "The repository moves to \\"new/app\\" in May"', '299 - "Your password ends in 3 days"'];
	const registry = await start({ warnings: said, bearer: user });
	await logIn(registry.host);
	const registries = connect();
	for (const path of ['team/app', 'team/other']) {
		await put(repositoryOf(registry, path, registries), randomBytes(10));
	}
	expect(warnings).toEqual([
		`${registry.host}: The repository moves to "new/app" in May`,
		`${registry.host}: Your password ends in 3 days`,
	]);
});

test('what the storage says that a registry redirects to is not told', async () => {
	const registry = await start({ storageWarning: '299 - "storage"', redirectBlobs: true });
	const bytes = randomBytes(10);
	seed(registry, bytes);
	await pull(repositoryOf(registry), bytes);
	expect(warnings).toEqual([]);
});

test('a registry that goes on talking is heard ten times', async () => {
	const registry = await start({ warnings: Array.from({ length: 50 }, (_each, index) => `299 - "talk ${index}"`) });
	await put(repositoryOf(registry), randomBytes(10));
	expect(warnings).toHaveLength(10);
});

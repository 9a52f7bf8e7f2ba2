import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import { OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { descriptorOf, testImage } from '../../support/images.js';
import { type Faults, startRegistry } from '../../support/registry.js';
import {
	connect,
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
	waits,
	writeHelper,
} from '../../support/registry-client.js';

describe('authorization', () => {
	test.each<[string, Faults]>([
		['token', {}],
		['access_token', { tokenAnswer: { field: 'access_token', expiresIn: 300 } }],
		['silent challenge, asked at /v2/', { silentChallenge: true }],
	])('a bearer token is fetched with the credentials of the auth file (%s)', async (_title, faults) => {
		const registry = await start({ bearer: user, ...faults });
		await logIn(registry.host);
		const bytes = randomBytes(100);
		const repository = repositoryOf(registry);
		await put(repository, bytes);
		await pull(repository, bytes);
		const basics = registry.requests.filter(({ authorization }) => authorization?.startsWith('Basic'));
		expect(new Set(basics.map(({ server }) => server))).toEqual(new Set(['token']));
		const tokens = registry.requests.filter(({ server }) => server === 'token');
		expect(tokens).toHaveLength(2);
		expect(decodeURIComponent(tokens[0]?.path ?? '')).toContain('scope=repository:team/app:pull,push');
	});

	test('anonymous pulls get a token without credentials', async () => {
		const registry = await start({ bearer: { ...user, anonymous: true } });
		const bytes = randomBytes(100);
		seed(registry, bytes);
		expect(digestOf(await pull(repositoryOf(registry), bytes))).toBe(digestOf(bytes));
		expect(registry.requests.filter(({ authorization }) => authorization?.startsWith('Basic'))).toEqual([]);
	});

	test('an identity token is exchanged by POST and never put into a URL', async () => {
		const registry = await start({ bearer: user, identityToken: 'canary-identity' });
		await logIn(registry.host, { auth: Buffer.from('0000:').toString('base64'), identitytoken: 'canary-identity' });
		const bytes = randomBytes(100);
		await put(repositoryOf(registry), bytes);
		const tokens = registry.requests.filter(({ server }) => server === 'token');
		expect(tokens.map(({ method }) => method)).toEqual(['POST']);
		expect(registry.requests.filter(({ path }) => path.includes('canary'))).toEqual([]);
	});

	test('several transfers at once fetch one token', async () => {
		const registry = await start({ bearer: user, tokenAnswer: { field: 'token', expiresIn: 300 } });
		await logIn(registry.host);
		const repository = repositoryOf(registry);
		await repository.has(descriptorOf(Buffer.from('first')), signal);
		await Promise.all([1, 2, 3, 4].map((size) => put(repository, randomBytes(size * 100))));
		expect(registry.requests.filter(({ server }) => server === 'token')).toHaveLength(1);
		expect(
			registry.requests.filter(({ server, authorization }) => server === 'registry' && !authorization),
		).toHaveLength(1);
	});

	test.each<[string, Faults]>([
		['bearer', { bearer: user }],
		['basic', { basic: user }],
	])(
		'without credentials a %s registry is REGISTRY_UNAUTHORIZED, and the hint names the file',
		async (_title, faults) => {
			const registry = await start(faults);
			const failure = repositoryOf(registry).manifest('v1', signal);
			await expect(failure).rejects.toMatchObject({
				code: 'REGISTRY_UNAUTHORIZED',
				hint: expect.stringMatching(/No credentials were sent.*auth\.json/) as string,
			});
		},
	);

	test.each<[string, Faults]>([
		['bearer', { bearer: user }],
		['basic', { basic: user }],
	])('wrong credentials for a %s registry are not printed', async (_title, faults) => {
		const registry = await start(faults);
		await logIn(registry.host, { auth: Buffer.from('alice:canary-wrong').toString('base64') });
		const error: unknown = await repositoryOf(registry)
			.manifest('v1', signal)
			.catch((caught: unknown) => caught);
		expect(error).toMatchObject({
			code: 'REGISTRY_UNAUTHORIZED',
			hint: expect.stringContaining('Credentials were sent and refused') as string,
		});
		const { message, hint } = error as { message: string; hint: string };
		expect(`${message} ${hint}`).not.toMatch(/canary|YWxpY2U6/);
	});

	test('a realm at the metadata address of a cloud is refused before any credentials are sent', async () => {
		const registry = await start({ bearer: user, realm: 'http://169.254.169.254/token' });
		await logIn(registry.host);
		await expect(repositoryOf(registry).manifest('v1', signal)).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
		expect(registry.requests.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
	});
});

describe('a registry that takes tokens and passwords', () => {
	test.each([400, 401, 403, 404, 405, 500])(
		'gets the password itself where the token server answers %i, and at once from then on',
		async (tokenStatus) => {
			const registry = await start({ bearer: user, basic: user, tokenStatus });
			await logIn(registry.host);
			const bytes = randomBytes(100);
			const repository = repositoryOf(registry);
			await put(repository, bytes);
			const before = registry.requests.length;
			expect(digestOf(await pull(repository, bytes))).toBe(digestOf(bytes));
			expect(registry.requests.slice(before).map(({ server }) => server)).toEqual(['registry']);
		},
	);

	test('gets a token, whichever it names first', async () => {
		const registry = await start({ bearer: user, basic: user, basicFirst: true });
		await logIn(registry.host);
		await put(repositoryOf(registry), randomBytes(100));
		const sent = registry.requests
			.filter(({ server }) => server === 'registry')
			.map(({ authorization }) => authorization);
		expect(sent.filter((authorization) => authorization?.startsWith('Basic'))).toEqual([]);
	});

	test('tells what the token server said when the password is not taken either', async () => {
		const registry = await start({ bearer: user, basic: user });
		await logIn(registry.host, { auth: Buffer.from('alice:canary-wrong').toString('base64') });
		await expect(repositoryOf(registry).manifest('v1', signal)).rejects.toMatchObject({
			code: 'REGISTRY_UNAUTHORIZED',
			message: expect.stringMatching(/the token server .* answered 401/) as string,
		});
	});

	test('that wants tokens only never gets a password', async () => {
		const registry = await start({ bearer: user, tokenStatus: 401 });
		await logIn(registry.host);
		await expect(repositoryOf(registry).manifest('v1', signal)).rejects.toMatchObject({
			code: 'REGISTRY_UNAUTHORIZED',
		});
		const own = registry.requests.filter(({ server }) => server === 'registry');
		expect(own.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
	});
});

test.each(['bearer', 'basic'] as const)(
	'what a credential helper gave is asked for anew when it is taken no longer (%s)',
	async (kind) => {
		const known = { ...user };
		// No token lives long enough to be used twice.
		const registry = await start({ [kind]: known, tokenAnswer: { field: 'token', expiresIn: 5 } });
		const { env, answer } = await writeHelper();
		const repository = repositoryOf(registry, 'team/app', connect(env));
		await answer(known);
		await repository.has(descriptorOf(Buffer.from('first')), signal);
		known.password = 'canary-next';
		await answer(known);
		const bytes = randomBytes(10);
		await put(repository, bytes);
		expect(digestOf(stored(registry, bytes))).toBe(digestOf(bytes));
	},
);

describe('retries', () => {
	test('429 waits as long as Retry-After says', async () => {
		const registry = await start({ failures: { count: 1, status: 429, retryAfter: '7' } });
		const { manifest } = testImage().image;
		registry.manifests.set('team/app:v1', { mediaType: OCI_MANIFEST, bytes: manifest.bytes });
		await repositoryOf(registry).manifest('v1', signal);
		expect(waits).toEqual([7000]);
		expect(retries).toEqual(['HTTP 429']);
	});

	test('a registry that stays limited is REGISTRY_LIMITED after five attempts, none of which waits more than a minute', async () => {
		const registry = await start({ failures: { count: 99, status: 429, retryAfter: '3600' } });
		await expect(repositoryOf(registry).manifest('v1', signal)).rejects.toMatchObject({ code: 'REGISTRY_LIMITED' });
		expect(registry.requests).toHaveLength(5);
		expect(waits).toEqual([60_000, 60_000, 60_000, 60_000]);
	});

	test('500 is repeated, 400 is not', async () => {
		const registry = await start({ failures: { count: 3, status: 500 } });
		await expect(repositoryOf(registry).manifest('v1', signal)).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' });
		expect(registry.requests).toHaveLength(4);
		const strict = await start({ failures: { count: 99, status: 400 } });
		await expect(repositoryOf(strict).manifest('v1', signal)).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
		expect(strict.requests).toHaveLength(1);
	});

	test('nothing listening is REGISTRY_UNREACHABLE with a hint', async () => {
		const registry = await startRegistry();
		await registry.close();
		const failure = connect().open({ registry: registry.host, path: 'x' }).manifest('v1', signal);
		await expect(failure).rejects.toMatchObject({
			code: 'REGISTRY_UNREACHABLE',
			message: expect.stringContaining('ECONNREFUSED') as string,
			hint: expect.stringContaining('Nothing listens') as string,
		});
		expect(waits).toHaveLength(4);
	});
});

describe('tokens', () => {
	const lifetimes = ['300', '0', 'soon', 0, -5];
	test.each(lifetimes)('with expires_in %j are used', async (expiresIn) => {
		const registry = await start({ bearer: user, tokenAnswer: { field: 'token', expiresIn } });
		await logIn(registry.host);
		const bytes = randomBytes(100);
		const repository = repositoryOf(registry);
		await put(repository, bytes);
		expect(digestOf(await pull(repository, bytes))).toBe(digestOf(bytes));
		expect(registry.requests.filter(({ server }) => server === 'token')).toHaveLength(2);
	});

	test('of a challenge without a service are asked for without one', async () => {
		const registry = await start({ bearer: user, noService: true });
		await logIn(registry.host);
		await put(repositoryOf(registry), randomBytes(100));
		expect(registry.requests.filter(({ server }) => server === 'token')).toHaveLength(1);
	});

	test.each(['*', '', 'pull', ':', 'repository::pull', 'repository:team/app:'])(
		'for the scope %j are asked for with scopes that are whole',
		async (scope) => {
			const registry = await start({ bearer: user, scope });
			await logIn(registry.host);
			await put(repositoryOf(registry), randomBytes(100));
			const [asked] = registry.requests.filter(({ server }) => server === 'token');
			const scopes = new URL(asked?.path ?? '', 'http://test').searchParams.getAll('scope');
			expect(scopes[0]).toBe('repository:team/app:pull,push');
			expect(scopes.slice(1)).toEqual(scope === '*' || scope === 'pull' ? [scope] : []);
		},
	);

	test('of a server that takes POST only are asked for by POST, with the password in the body', async () => {
		const registry = await start({ bearer: user, postOnly: true });
		await logIn(registry.host);
		await put(repositoryOf(registry), randomBytes(100));
		const tokens = registry.requests.filter(({ server }) => server === 'token');
		expect(tokens.map(({ method }) => method)).toEqual(['GET', 'POST']);
		expect(tokens[1]?.path).not.toContain(user.password);
		expect(new URLSearchParams(tokens[1]?.body).get('grant_type')).toBe('password');
	});

	test('that end midway are asked for once more, and the body is sent again', async () => {
		const registry = await start({ bearer: user, tokenUses: 1, tokenAnswer: { field: 'token', expiresIn: 300 } });
		await logIn(registry.host);
		const bytes = randomBytes(100_000);
		const repository = repositoryOf(registry);
		await put(repository, bytes);
		expect(digestOf(await pull(repository, bytes))).toBe(digestOf(bytes));
	});

	test.each(['robot$team+builder', '00000000-0000-0000-0000-000000000000', '_json_key', 'AWS', 'jürgen@example.com'])(
		'are given to the user %s, whose password may hold anything',
		async (username) => {
			const odd = { username, password: '{"key": "a:b\\n"}\n☃' };
			const registry = await start({ bearer: odd });
			await logIn(registry.host, { auth: Buffer.from(`${username}:${odd.password}`).toString('base64') });
			await put(repositoryOf(registry), randomBytes(100));
			const asked = registry.requests.find(({ server }) => server === 'token');
			expect(new URL(asked?.path ?? '', 'http://test').searchParams.get('account')).toBe(username);
		},
	);

	test('that are refused at once are asked for once more, not for ever', async () => {
		const registry = await start({ bearer: user, tokenUses: 0 });
		await logIn(registry.host);
		await expect(put(repositoryOf(registry), randomBytes(10))).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
		expect(registry.requests.filter(({ server }) => server === 'token').length).toBeLessThan(4);
	});
});

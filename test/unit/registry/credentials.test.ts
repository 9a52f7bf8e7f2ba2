import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { authFiles, findCredentials } from '../../../src/registry/credentials.js';

const SIGNAL = new AbortController().signal;
let root: string;

beforeEach(async () => {
	root = await mkdtemp(join(tmpdir(), 's2oci-auth-'));
});

afterEach(() => rm(root, { recursive: true, force: true }));

function entry(user: string): { auth: string } {
	return { auth: Buffer.from(`${user}:secret`).toString('base64') };
}

async function write(name: string, content: unknown): Promise<string> {
	const path = join(root, name);
	await mkdir(dirname(path), { recursive: true });
	await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
	return path;
}

async function userFor(image: string, auths: Record<string, unknown>, more: object = {}): Promise<string | undefined> {
	const path = await write('auth.json', { auths, ...more });
	const [registry = '', ...rest] = image.split('/');
	const found = await findCredentials(
		{ registry, path: rest.join('/') },
		{ env: { REGISTRY_AUTH_FILE: path } },
		SIGNAL,
	);
	return found.credentials?.type === 'basic' ? found.credentials.username : found.credentials?.type;
}

describe('findCredentials', () => {
	test.each<[string, Record<string, unknown>, string | undefined]>([
		['quay.io/org/app', { 'quay.io': entry('host'), 'quay.io/org': entry('org') }, 'org'],
		['quay.io/org/app', { 'quay.io/org': entry('org'), 'quay.io/org/app': entry('repository') }, 'repository'],
		['quay.io/other/app', { 'quay.io/org': entry('org'), 'quay.io': entry('host') }, 'host'],
		['quay.io/organisation/app', { 'quay.io/org': entry('org') }, undefined],
		['ghcr.io/a/b', { 'evil-ghcr.io': entry('evil'), 'ghcr.io.evil.example': entry('evil') }, undefined],
		['host:5000/a', { host: entry('without port') }, undefined],
		['host:5000/a', { 'host:5000': entry('with port') }, 'with port'],
		['docker.io/library/node', { 'https://index.docker.io/v1/': entry('hub') }, 'hub'],
		['docker.io/team/app', { 'docker.io/team': entry('team'), 'index.docker.io': entry('hub') }, 'team'],
		['reg.example/a', { 'https://reg.example/v2/': entry('url') }, 'url'],
		['reg.example/a', { 'reg.example': { username: 'u', password: 'p' } }, 'u'],
		['reg.example/a', { 'reg.example': { ...entry('x'), identitytoken: 't' } }, 'identity'],
		['reg.example/a', { 'reg.example': {} }, undefined],
	])('for %s among %j finds %s', async (image, auths, user) => {
		expect(await userFor(image, auths)).toBe(user);
	});

	test('a password may hold colons', async () => {
		const path = await write('auth.json', { auths: { h: { auth: Buffer.from('u:a:b:c').toString('base64') } } });
		const { credentials } = await findCredentials(
			{ registry: 'h', path: 'x' },
			{ env: { REGISTRY_AUTH_FILE: path } },
			SIGNAL,
		);
		expect(credentials).toEqual({ type: 'basic', username: 'u', password: 'a:b:c' });
	});

	test.each([{ credHelpers: { 'reg.example': '../../evil' } }, { credsStore: 'desktop' }])(
		'an entry that needs a helper yields none and says so, instead of another entry (%j)',
		async (more) => {
			const path = await write('auth.json', { auths: { 'reg.example': {}, 'other.example': entry('other') }, ...more });
			const found = await findCredentials(
				{ registry: 'reg.example', path: 'a' },
				{ env: { REGISTRY_AUTH_FILE: path } },
				SIGNAL,
			);
			expect(found.credentials).toBeUndefined();
			expect(found.source).toMatch(/credential helper/);
		},
	);

	test.each<[string, unknown]>([
		['a file that is no JSON', '{"auths": {"reg.example": "canary-secret'],
		['a file that is no object', '[]'],
		['an entry that is no object', { auths: { 'reg.example': 5 } }],
		['an auth without a colon', { auths: { 'reg.example': { auth: 'bm9jb2xvbg==' } } }],
	])('%s is CREDENTIALS_INVALID and names the file, not its content', async (_title, content) => {
		const path = await write('auth.json', content);
		const error: unknown = await findCredentials(
			{ registry: 'reg.example', path: 'a' },
			{ env: { REGISTRY_AUTH_FILE: path } },
			SIGNAL,
		).catch((caught: unknown) => caught);
		expect(error).toMatchObject({ code: 'CREDENTIALS_INVALID', message: expect.stringContaining(path) as string });
		expect((error as Error).message).not.toContain('canary');
	});

	test('a malformed entry of another registry is not an error', async () => {
		expect(await userFor('reg.example/a', { 'reg.example': entry('u'), broken: 5 })).toBe('u');
	});

	test('files are asked in the order of podman, then docker', async () => {
		const env = { XDG_RUNTIME_DIR: join(root, 'run'), HOME: join(root, 'home'), DOCKER_CONFIG: join(root, 'docker') };
		expect(authFiles({ env })).toEqual([
			join(root, 'run/containers/auth.json'),
			join(root, 'home/.config/containers/auth.json'),
			join(root, 'docker/config.json'),
		]);
		await write('docker/config.json', { auths: { h: entry('docker') } });
		const name = { registry: 'h', path: 'x' };
		expect(await findCredentials(name, { env }, SIGNAL)).toMatchObject({ credentials: { username: 'docker' } });
		await write('home/.config/containers/auth.json', { auths: { h: entry('podman') } });
		expect(await findCredentials(name, { env }, SIGNAL)).toMatchObject({ credentials: { username: 'podman' } });
		expect(authFiles({ env: { ...env, REGISTRY_AUTH_FILE: '/only' } })).toEqual(['/only']);
	});

	test('the file that the command line names is the only one', async () => {
		const path = await write('own.json', { auths: { h: entry('own') } });
		await write('docker/config.json', { auths: { other: entry('docker') } });
		const places = { env: { DOCKER_CONFIG: join(root, 'docker') }, dockerConfig: path };
		expect(await findCredentials({ registry: 'h', path: 'x' }, places, SIGNAL)).toMatchObject({
			credentials: { username: 'own' },
		});
		const other = await findCredentials({ registry: 'other', path: 'x' }, places, SIGNAL);
		expect(other.credentials).toBeUndefined();
	});

	test.each([
		['/no/such/file', 'no such file'],
		['/dev/zero', 'it is a device'],
		['/dev', 'it is a directory'],
		['/dev/null', 'it is not valid JSON'],
	])('the file that the command line names must be one: %s', async (dockerConfig, why) => {
		await expect(
			findCredentials({ registry: 'h', path: 'x' }, { env: {}, dockerConfig }, SIGNAL),
		).rejects.toMatchObject({
			code: 'CREDENTIALS_INVALID',
			message: expect.stringContaining(why) as string,
		});
	});
});

describe('a credential helper', () => {
	async function helper(script: string): Promise<string> {
		const path = await write('bin/docker-credential-test', `#!/bin/sh\n${script}\n`);
		await chmod(path, 0o755);
		return dirname(path);
	}

	async function ask(script: string, image = 'reg.example/a', more: object = { credsStore: 'test' }) {
		const PATH = `${await helper(script)}:/usr/bin:/bin`;
		const path = await write('auth.json', { auths: { 'other.example': entry('other') }, ...more });
		const [registry = '', ...rest] = image.split('/');
		return findCredentials({ registry, path: rest.join('/') }, { env: { PATH, REGISTRY_AUTH_FILE: path } }, SIGNAL);
	}

	const ANSWER = `read -r server; printf '{"ServerURL":"%s","Username":"%s","Secret":"s"}' "$server" "$1 $server"`;

	test.each([
		['reg.example/a', 'get reg.example'],
		['reg.example:5000/a', 'get reg.example:5000'],
		['docker.io/library/node', 'get https://index.docker.io/v1/'],
	])('is asked for %s by its standard input', async (image, username) => {
		expect(await ask(ANSWER, image)).toMatchObject({ credentials: { type: 'basic', username, password: 's' } });
	});

	test('of one registry is asked for that registry only', async () => {
		const more = { credHelpers: { 'reg.example': 'test' } };
		expect(await ask(ANSWER, 'reg.example/a', more)).toMatchObject({ credentials: { username: 'get reg.example' } });
		expect(await ask(ANSWER, 'elsewhere.example/a', more)).toMatchObject({ credentials: undefined });
		expect(await ask(ANSWER, 'other.example/a', more)).toMatchObject({ credentials: { username: 'other' } });
	});

	test('may give an identity token', async () => {
		const script = `echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}'`;
		expect(await ask(script)).toMatchObject({ credentials: { type: 'identity', token: 't' } });
	});

	test.each([
		["echo 'credentials not found in native keychain'; exit 1", /has no entry/],
		['echo "no daemon token=canary-secret"; exit 1', /gave nothing: docker-credential-test failed: no daemon/],
		['echo canary-secret', /not its protocol's/],
		['yes canary-secret', /answered more than/],
	])('that does not help (%s) is told and nobody else is asked', async (script, source) => {
		const found = await ask(script, 'other.example/a', { credHelpers: { 'other.example': 'test' } });
		expect(found.credentials).toBeUndefined();
		expect(found.source).toMatch(source);
		if (!script.includes('token=')) expect(found.source).not.toContain('canary');
	});
});

describe('the credentials of a CI job', () => {
	const gitlab = {
		...{ GITLAB_CI: 'true', CI_REGISTRY: 'registry.example:5005', CI_REGISTRY_USER: 'job', CI_REGISTRY_PASSWORD: 'x' },
		...{
			CI_DEPENDENCY_PROXY_SERVER: 'gitlab.example:443',
			CI_DEPENDENCY_PROXY_USER: 'proxy',
			CI_DEPENDENCY_PROXY_PASSWORD: 'y',
		},
	};
	const github = { GITHUB_ACTIONS: 'true', GITHUB_ACTOR: 'octo', GITHUB_TOKEN: 'z' };
	const config = { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { 'registry.example:5005': entry('configured') } }) };
	const userOf = async (registry: string, env: Readonly<Record<string, string>>, auths?: object) => {
		if (auths !== undefined) await write('.docker/config.json', { auths });
		const found = await findCredentials({ registry, path: 'team/app' }, { env: { HOME: root, ...env } }, SIGNAL);
		return found.credentials?.type === 'basic' ? [found.credentials.username, found.ofJob] : found.credentials;
	};

	test.each([
		['registry.example:5005', gitlab, 'job'],
		['gitlab.example:443', gitlab, 'proxy'],
		['gitlab.example', gitlab, 'proxy'],
		['ghcr.io', github, 'octo'],
		['registry.example:5005', { ...gitlab, ...config }, 'configured'],
	])('are taken for %s of %j', async (registry, env, user) => {
		expect(await userOf(registry, env)).toEqual([user, true]);
	});

	test.each([
		['registry.example', gitlab],
		['registry.example:5006', gitlab],
		['evil-registry.example:5005', gitlab],
		['registry.example:5005.evil.example', gitlab],
		['gitlab.example:8443', gitlab],
		['ghcr.io.evil.example', github],
		['ghcr.io:8443', github],
		['evil-ghcr.io', github],
		['docker.io', { ...github, ...gitlab, ...config }],
		['registry.example:5005', { ...gitlab, GITLAB_CI: '' }],
		['ghcr.io', { ...github, GITHUB_ACTIONS: '' }],
		['ghcr.io', { ...github, GITHUB_TOKEN: '' }],
	])('are not taken for %s of %j', async (registry, env) => {
		expect(await userOf(registry, env)).toBeUndefined();
	});

	test('are not taken where a file has an entry, or only one file counts', async () => {
		expect(await userOf('ghcr.io', github, { 'ghcr.io': entry('own') })).toEqual(['own', undefined]);
		const REGISTRY_AUTH_FILE = await write('auth.json', { auths: {} });
		expect(await userOf('ghcr.io', { ...github, REGISTRY_AUTH_FILE })).toBeUndefined();
	});

	test('are named without being shown when they make no sense', async () => {
		const asked = userOf('ghcr.io', { DOCKER_AUTH_CONFIG: '{"auths": canary' });
		const error: unknown = await asked.catch((thrown: unknown) => thrown);
		expect(error).toMatchObject({ code: 'CREDENTIALS_INVALID' });
		expect(String(error)).toContain('DOCKER_AUTH_CONFIG');
		expect(String(error)).not.toContain('canary');
	});
});

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { authFiles, findCredentials } from '../../../src/registry/credentials.js';

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
	const found = await findCredentials({ registry, path: rest.join('/') }, { REGISTRY_AUTH_FILE: path });
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
		const { credentials } = await findCredentials({ registry: 'h', path: 'x' }, { REGISTRY_AUTH_FILE: path });
		expect(credentials).toEqual({ type: 'basic', username: 'u', password: 'a:b:c' });
	});

	test.each([{ credHelpers: { 'reg.example': '../../evil' } }, { credsStore: 'desktop' }])(
		'an entry that needs a helper yields none and says so, instead of another entry (%j)',
		async (more) => {
			const path = await write('auth.json', { auths: { 'reg.example': {}, 'other.example': entry('other') }, ...more });
			const found = await findCredentials({ registry: 'reg.example', path: 'a' }, { REGISTRY_AUTH_FILE: path });
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
			{ REGISTRY_AUTH_FILE: path },
		).catch((caught: unknown) => caught);
		expect(error).toMatchObject({ code: 'CREDENTIALS_INVALID', message: expect.stringContaining(path) as string });
		expect((error as Error).message).not.toContain('canary');
	});

	test('a malformed entry of another registry is not an error', async () => {
		expect(await userFor('reg.example/a', { 'reg.example': entry('u'), broken: 5 })).toBe('u');
	});

	test('files are asked in the order of podman, then docker', async () => {
		const env = { XDG_RUNTIME_DIR: join(root, 'run'), HOME: join(root, 'home'), DOCKER_CONFIG: join(root, 'docker') };
		expect(authFiles(env)).toEqual([
			join(root, 'run/containers/auth.json'),
			join(root, 'home/.config/containers/auth.json'),
			join(root, 'docker/config.json'),
		]);
		await write('docker/config.json', { auths: { h: entry('docker') } });
		const name = { registry: 'h', path: 'x' };
		expect(await findCredentials(name, env)).toMatchObject({ credentials: { username: 'docker' } });
		await write('home/.config/containers/auth.json', { auths: { h: entry('podman') } });
		expect(await findCredentials(name, env)).toMatchObject({ credentials: { username: 'podman' } });
		expect(authFiles({ ...env, REGISTRY_AUTH_FILE: '/only' })).toEqual(['/only']);
	});
});

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, type Workspace } from '../support/host.js';
import { publishImage } from '../support/layers.js';
import type { TestRegistry } from '../support/registry.js';
import { tarFile } from '../support/tar.js';
import { assembleSource, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const login = { username: 'robot', password: 'canary-41d8-pass:w@rd%/' };
const BASIC = Buffer.from(`${login.username}:${login.password}`).toString('base64');
const SECRETS = [login.password, encodeURIComponent(login.password), BASIC];
const SPY = 'env > spied; cat /proc/*/environ /proc/*/cmdline >> spied 2>/dev/null || true; cat spied';

interface Named {
	readonly push?: string;
	readonly pull?: string;
	readonly image?: string;
	readonly git?: { readonly uri: string; readonly secret: string };
}

/** Writes a BuildConfig that names Secrets, and beside it `objects`; returns what a build is told. */
function lineFor(
	{ workspace, registry }: { workspace: Workspace; registry: TestRegistry },
	{ push, pull, image, git }: Named,
	objects: readonly object[],
): readonly string[] {
	const named = (name: string | undefined) => (name === undefined ? undefined : { name });
	const from = (name: string) => ({ kind: 'DockerImage', name: `${registry.host}/${name}` });
	const images = [
		{
			from: from('builders/library'),
			paths: [{ sourcePath: '/only', destinationDir: '.' }],
			pullSecret: named(image),
		},
	];
	const spec = {
		source: {
			...(git === undefined ? { binary: {} } : { git: { uri: git.uri }, sourceSecret: { name: git.secret } }),
			...(image !== undefined && { images }),
		},
		strategy: { sourceStrategy: { from: from('builders/tiny'), pullSecret: named(pull) } },
		output: { to: from('team/app:1'), pushSecret: named(push) },
	};
	const file = join(workspace.home, 'app.json');
	const head = { apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'app' } };
	writeFileSync(file, JSON.stringify({ kind: 'List', items: [{ ...head, spec }, ...objects] }));
	return ['--build-config', file, '--loglevel', '5'];
}

/** The Secrets `json` and `old`, in the two forms that Kubernetes has. */
function registrySecrets({ host }: TestRegistry): readonly object[] {
	const auths = { [`http://${host}/v2/`]: { auth: BASIC } };
	const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64');
	return [
		{
			kind: 'Secret',
			metadata: { name: 'json' },
			data: { '.dockerconfigjson': base64({ auths, credsStore: 'evil' }) },
		},
		{ kind: 'Secret', metadata: { name: 'old' }, data: { '.dockercfg': base64(auths) } },
	];
}

function everything(registry: TestRegistry): string {
	const blobs = [...registry.blobs.values()].map((bytes) => Buffer.from(bytes).toString('latin1'));
	return [...blobs, ...[...registry.manifests.values()].map(({ bytes }) => Buffer.from(bytes).toString())].join('\n');
}

function expectNoSecret(text: string): void {
	for (const secret of SECRETS) expect(text).not.toContain(secret);
}

/** Files of the user and of the store that hold a password. */
function filesWithSecret({ root, home }: Workspace): string {
	const words = SECRETS.flatMap((secret) => ['-e', secret]);
	const found = execFileSync('sh', ['-c', 'grep -rlF "$@" || true', 'sh', ...words, root], { encoding: 'utf8' });
	return found.replaceAll(join(home, 'app.json'), '').trim();
}

describe('Secrets for registries', () => {
	test.each([
		['Basic', { basic: login }, 'json', 'old'],
		['Bearer', { bearer: login }, 'old', 'json'],
	])('pull and push where %s authorization is asked for, and get nowhere else', async (_scheme, faults, push, pull) => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry(faults)];
		publishImage(registry, 'library', { files: [tarFile('only', 'only this')] });
		const line = lineFor({ workspace, registry }, { push, pull, image: 'json' }, registrySecrets(registry));
		const source = assembleSource(`${SPY}\ncat /tmp/src/only`);
		const { stdout, stderr, result } = await build(workspace, [source, ...line]);
		expect(stderr).toContain('only this');
		expect(stderr).not.toMatch(/pushSecret|pullSecret/);
		expectNoSecret(stdout + stderr + JSON.stringify(result) + everything(registry));
		expect(filesWithSecret(workspace)).toBe('');
		expect(await leftovers(workspace)).toEqual([]);
	});

	test.each<[string, Named]>([
		['a pullSecret pushes nothing', { pull: 'json' }],
		['a pushSecret pulls no builder', { push: 'json' }],
		['a Secret that is absent', { push: 'absent', pull: 'absent' }],
	])('%s', async (_what, named) => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ basic: login })];
		const line = lineFor({ workspace, registry }, named, registrySecrets(registry));
		const failed = await s2oci(workspace, ['build', assembleSource('echo assemble-ran'), ...line]);
		expect([failed.status, failed.result?.error?.code]).toEqual([3, 'REGISTRY_UNAUTHORIZED']);
		expect(failed.stderr).not.toContain('assemble-ran');
		expect(failed.stderr.includes('pushSecret is done by')).toBe(named.push === 'absent');
		expectNoSecret(failed.stderr);
	});

	test.each([
		['of another kind', { kind: 'Secret', metadata: { name: 'json' }, stringData: { password: login.password } }, 2],
		[
			'that is no JSON',
			{ kind: 'Secret', metadata: { name: 'json' }, stringData: { '.dockercfg': `{"${login.password}` } },
			3,
		],
	])('one %s is refused, and not shown', async (_what, secret, status) => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ basic: login })];
		const line = lineFor({ workspace, registry }, { push: 'json', pull: 'json' }, [secret]);
		const failed = await s2oci(workspace, ['build', assembleSource('true'), ...line]);
		expect(failed.stderr).toContain('the Secret json');
		expect(failed.status).toBe(status);
		expectNoSecret(failed.stderr);
	});
});

/** A server of the repository `source` that wants `login`; resolves with its URL and what was asked with which authorization. */
async function gitServer(source: string) {
	const git = (...args: readonly string[]) => execFileSync('git', ['-C', source, ...args], { stdio: 'ignore' });
	git('init', '-q');
	git('add', '-A');
	git('-c', 'user.name=a', '-c', 'user.email=a@a', 'commit', '-qm', 'a');
	git('update-server-info');
	const asked: (string | undefined)[] = [];
	const server = createServer(({ headers, url = '' }, response) => {
		asked.push(headers.authorization);
		if (headers.authorization !== `Basic ${BASIC}`) {
			response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
			return;
		}
		const path = new URL(url, 'http://git').pathname.replace(/^\/app\.git/, '');
		try {
			response.end(readFileSync(join(source, '.git', path)));
		} catch {
			response.writeHead(404).end();
		}
	});
	await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
	onTestFinished(() => void server.close());
	return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/app.git`, asked };
}

test.each([
	['username and password', { ...login }],
	['username and token', { username: login.username, token: `${login.password}\n` }],
])('a sourceSecret with %s is for git, and gets nowhere else', async (_keys, stringData) => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const { uri } = await gitServer(assembleSource(SPY));
	const secret = { kind: 'Secret', metadata: { name: 'git' }, stringData };
	const line = lineFor({ workspace, registry }, { git: { uri, secret: 'git' } }, [secret]);
	const { stdout, stderr, result } = await build(workspace, line);
	expect(stderr).toContain('STI_SCRIPTS_PATH=');
	expect(stderr).not.toContain('sourceSecret');
	expect(JSON.stringify(result)).toContain(uri);
	expectNoSecret(stdout + stderr + JSON.stringify(result) + everything(registry));
	expect(filesWithSecret(workspace)).toBe('');
});

test('a sourceSecret with a key for ssh is named, and git goes without', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const { uri, asked } = await gitServer(assembleSource('true'));
	const secret = { kind: 'Secret', metadata: { name: 'git' }, stringData: { 'ssh-privatekey': login.password } };
	const line = lineFor({ workspace, registry }, { git: { uri, secret: 'git' } }, [secret]);
	const failed = await s2oci(workspace, ['build', ...line]);
	expect(failed.stderr).toContain("spec.source.sourceSecret is done by git's own credentials");
	expect([failed.status, failed.result?.error?.code]).toEqual([5, 'SOURCE_GIT']);
	expect(asked.every((authorization) => authorization === undefined)).toBe(true);
	expectNoSecret(failed.stderr);
});

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, type Workspace } from '../support/host.js';
import type { Faults, TestRegistry } from '../support/registry.js';
import { assembleSource, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const login = { username: 'alice', password: 'canary-3f9c-password' };
const SECRETS = [login.password, Buffer.from(`${login.username}:${login.password}`).toString('base64')];
/** Everything that assemble could see of us. */
const SPY = `env > spied; cat /proc/*/environ /proc/*/cmdline >> spied 2>/dev/null || true; cat spied`;

const writers: Readonly<Record<string, (workspace: Workspace, text: string) => Readonly<Record<string, string>>>> = {
	'~/.docker/config.json': (workspace, text) => {
		write(join(workspace.home, '.docker/config.json'), text);
		return {};
	},
	REGISTRY_AUTH_FILE: (workspace, text) => {
		const path = join(workspace.root, 'auth.json');
		write(path, text);
		return { REGISTRY_AUTH_FILE: path };
	},
};

const schemes: readonly (readonly [string, Faults])[] = [
	['Basic', { basic: login }],
	['Bearer', { bearer: login }],
];

describe.each(schemes)('a registry that wants %s authorization', (_scheme, faults) => {
	test.each(Object.entries(writers))('gets it from %s, and no secret gets out', async (_name, writeAuth) => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry(faults)];
		const env = writeAuth(workspace, authFile(registry, login.password));
		const source = assembleSource(SPY);
		const args = [source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--loglevel', '5'];
		const { stdout, stderr, result } = await build(workspace, args, { env });
		expect(stderr).toContain('STI_SCRIPTS_PATH=');
		for (const secret of SECRETS) {
			expect(stdout + stderr + JSON.stringify(result)).not.toContain(secret);
			expect(blobsOf(registry).filter((text) => text.includes(secret))).toEqual([]);
		}
	});

	test("gets a CI job's own where there are no others, which is said, and no secret gets out", async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry(faults)];
		const given = {
			CI_REGISTRY: registry.host,
			CI_REGISTRY_USER: login.username,
			CI_REGISTRY_PASSWORD: login.password,
		};
		const env = { GITLAB_CI: 'true', CI_PROJECT_DIR: workspace.home, ...given };
		const args = [
			assembleSource(SPY),
			`${registry.host}/builders/tiny`,
			`${registry.host}/team/app`,
			'--loglevel',
			'5',
		];
		const { stdout, stderr, result } = await build(workspace, args, { env });
		const line = `credentials for ${registry.host}: the variables CI_REGISTRY_USER and CI_REGISTRY_PASSWORD of this job`;
		expect(stderr.split(line)).toHaveLength(2);
		for (const secret of SECRETS) {
			expect(stdout + stderr + JSON.stringify(result)).not.toContain(secret);
			expect(blobsOf(registry).filter((text) => text.includes(secret))).toEqual([]);
		}
	});

	test('refuses a wrong password: status 3, a hint, and no secret', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry(faults)];
		const env = { REGISTRY_AUTH_FILE: join(workspace.root, 'auth.json') };
		write(env.REGISTRY_AUTH_FILE, authFile(registry, 'canary-wrong-password'));
		const args = ['build', assembleSource('true'), `${registry.host}/builders/tiny`, '--loglevel', '5'];
		const { status, stdout, stderr, result } = await s2oci(workspace, args, { env });
		expect(status).toBe(3);
		expect(result?.error).toMatchObject({ code: 'REGISTRY_UNAUTHORIZED', hint: expect.stringMatching(/\w/) as string });
		expect(stdout + stderr + JSON.stringify(result)).not.toMatch(/canary|YWxpY2U/);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('refuses somebody without credentials, and the hint says how to log in', async () => {
		const registry = await tinyRegistry(faults);
		const args = ['build', assembleSource('true'), `${registry.host}/builders/tiny`];
		const { status, stderr } = await s2oci(makeWorkspace(), args);
		expect(status).toBe(3);
		expect(stderr).toMatch(/error: .*builders\/tiny[^]*hint: .*Log in/);
	});
});

test('a password in the address of a git source is in no output and no label', async () => {
	const workspace = makeWorkspace();
	const source = 'http://alice:canary-git-password@127.0.0.1:9/app.git';
	const registry = await tinyRegistry();
	const args = ['build', source, `${registry.host}/builders/tiny`, '--loglevel', '5'];
	const { status, stdout, stderr, result } = await s2oci(workspace, args);
	expect(status).toBe(5);
	expect(stdout + stderr + JSON.stringify(result)).not.toContain('canary');
});

test('a damaged credentials file is named', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ basic: login })];
	const path = join(workspace.root, 'auth.json');
	write(path, '{"auths": canary');
	const args = ['build', assembleSource('true'), `${registry.host}/builders/tiny`];
	const { status, stderr } = await s2oci(workspace, args, { env: { REGISTRY_AUTH_FILE: path } });
	expect(status).toBe(3);
	expect(stderr).toContain(path);
	expect(stderr).not.toContain('canary');
});

function authFile({ host }: TestRegistry, password: string): string {
	const auth = Buffer.from(`${login.username}:${password}`).toString('base64');
	return JSON.stringify({ auths: { [host]: { auth } } });
}

function write(path: string, text: string): void {
	mkdirSync(dirname(path), { recursive: true });
	writeFileSync(path, text);
}

/** All blobs and manifests as text, gzip undone. */
function blobsOf({ blobs, manifests }: TestRegistry): readonly string[] {
	const all = [...blobs.values(), ...[...manifests.values()].map(({ bytes }) => bytes)];
	return all.map((bytes) => {
		const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
		const plain = isGzip ? execFileSync('gzip', ['-dc'], { input: bytes, maxBuffer: 1 << 28 }) : bytes;
		return Buffer.from(plain).toString('latin1');
	});
}

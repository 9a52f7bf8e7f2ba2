import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { build, s2oci } from '../support/build.js';
import { builderRegistry, publishBuilder, readBack } from '../support/ci-registry.js';
import { exampleOf } from '../support/documentation.js';
import { removeTree } from '../support/fs.js';
import { runWorkflow } from '../support/github.js';
import { makeWorkspace, requirePrograms, requireRoot, type Workspace } from '../support/host.js';
import { CONTAINER_USERS, openContainer, type RunInContainer } from '../support/plain-container.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const PACKAGE = join(import.meta.dirname, '../../scripts/package');
const BUILDER = 'quay.io/sclorg/nodejs-22-c9s';
const SHA = '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c';
const ROOT = { uid: 0, gid: 0 } as const;

let directory = '';
let archive = '';
beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), 's2oci-archive-'));
	chmodSync(directory, 0o755);
	archive = join(directory, 's2oci.tar.gz');
	execFileSync(PACKAGE, [archive], { stdio: ['ignore', 'ignore', 'inherit'] });
});
afterAll(() => removeTree(directory));

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'podman', 'runc', 'skopeo', 'sudo', 'curl');
});

/** Runs a workflow with the archive of this checkout, or other `inputs` of the action. */
function run(
	workspace: Workspace,
	container: RunInContainer,
	text: string,
	{
		source = assembleSource('cp /tmp/src/greeting.txt .'),
		inputs = { archive },
		env = {},
	}: {
		readonly source?: string;
		readonly inputs?: Readonly<Record<string, string>>;
		readonly env?: Readonly<Record<string, string>>;
	} = {},
) {
	const github = { sha: SHA, token: 'of-the-job', repository: 'team/app' };
	return runWorkflow(workspace, container, text, { source, github, env: { GITHUB_SHA: SHA, ...env }, inputs });
}

/** A workflow of one job with the action. */
function workflow(inputs: Readonly<Record<string, string>>): string {
	const step = { id: 'build', uses: 's2oci/s2oci@v0', with: inputs };
	const outputs = { image: '${{ steps.build.outputs.image }}', digest: '${{ steps.build.outputs.digest }}' };
	return stringify({ jobs: { image: { outputs, steps: [{ uses: 'actions/checkout@v7' }, step] } } });
}

describe.each(CONTAINER_USERS)('the action, as %s', (_who, user, rung) => {
	test('builds what the page shows, and hands image and digest on', async () => {
		const [host, workspace] = [await builderRegistry(), makeWorkspace()];
		const text = exampleOf('github.md', 'GitHub', { [BUILDER]: `${host}/builders/tiny`, 'ghcr.io': host });
		const { outputs, log, summary } = await run(workspace, openContainer(workspace, user), text);
		expect(log).toContain(rung);
		const { digest } = readBack(`${host}/team/app:${SHA}`);
		expect(outputs.get('image')).toEqual({ image: `${host}/team/app:${SHA}@${digest}` });
		expect(summary).toContain(digest);
	});

	test('joins images of two platforms, as the page shows', async () => {
		const [host, workspace] = [await builderRegistry(), makeWorkspace()];
		const text = exampleOf('github.md', 'Several platforms', { [BUILDER]: `${host}/builders/tiny`, 'ghcr.io': host });
		await run(workspace, openContainer(workspace, user), text);
		const each = ['amd64', 'arm64'].map((architecture) => readBack(`${host}/team/app:${SHA}`, architecture));
		expect(each.map(({ architecture }) => architecture)).toEqual(['amd64', 'arm64']);
	});
});

/** Keeps everyone from user namespaces, as AppArmor does on hosted runners (seccomp of runtime-spec config-linux.md). */
const NO_NAMESPACES = {
	defaultAction: 'SCMP_ACT_ALLOW',
	syscalls: [
		{ names: ['unshare'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
		{ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
		{
			names: ['clone'],
			action: 'SCMP_ACT_ERRNO',
			errnoRet: 1,
			args: [{ index: 0, value: 0x10000000, valueTwo: 0x10000000, op: 'SCMP_CMP_MASKED_EQ' }],
		},
	],
};

describe('the user of a runner who may make no namespaces', () => {
	/** Runs commands as a user of this container who may become root. */
	const asSudoer =
		(container: RunInContainer): RunInContainer =>
		(words, options) => {
			const grant =
				'echo "ALL ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/runner; echo "runner:*:4711:4711::/:/bin/sh" >>/etc/passwd';
			const become = 'exec setpriv --reuid 4711 --regid 4711 --clear-groups "$@"';
			return container(['sh', '-c', `${grant}\n${become}`, 'sh', ...words], options);
		};

	test('builds as root by sudo, and only then', async () => {
		const [host, workspace] = [await builderRegistry(), makeWorkspace()];
		const profile = join(workspace.root, 'seccomp.json');
		writeFileSync(profile, JSON.stringify(NO_NAMESPACES));
		const container = asSudoer(openContainer(workspace, ROOT, ['--security-opt', `seccomp=${profile}`]));
		const inputs = { 'builder-image': `${host}/builders/tiny`, image: `${host}/team/app:1` };
		const { outputs, log } = await run(workspace, container, workflow(inputs));
		expect(log).toContain('rung 5');
		expect(outputs.get('image')?.['digest']).toBe(readBack(`${host}/team/app:1`).digest);
		const never = run(workspace, container, workflow({ ...inputs, sudo: 'never' }));
		await expect(never).rejects.toThrow(/::error title=s2oci HOST_/);
	});
});

test('inputs are never more than values', async () => {
	const [host, workspace] = [await builderRegistry(), makeWorkspace()];
	const hostile = `a "b' c; $(touch /tmp/x) \`id\` \\ # END $HOME`;
	const inputs = {
		'builder-image': `${host}/builders/tiny`,
		image: `${host}/team/app:1`,
		env: `TINY_A=${hostile}\n\nTINY_B=two\nTINY_C=x=y\n`,
		labels: `org.example.a=${hostile}\norg.example.b=`,
		options: '--description=two words\n--memory=1g',
		'before-push': 'test "$TINY_B" = two && test -f greeting.txt',
		'context-dir': 'a dir',
	};
	const assemble = '#!/bin/sh\ncp /tmp/src/greeting.txt .\n';
	const source = assembleSource('', { 'a dir/greeting.txt': 'x', 'a dir/.s2i/bin/assemble': assemble });
	await run(workspace, openContainer(workspace, ROOT), workflow(inputs), { source });
	const { env, labels } = readBack(`${host}/team/app:1`);
	expect(env).toEqual(expect.arrayContaining([`TINY_A=${hostile}`, 'TINY_B=two', 'TINY_C=x=y']));
	expect(labels).toMatchObject({ 'org.example.a': hostile, 'org.example.b': '', 'io.k8s.description': 'two words' });
});

describe('the archive', () => {
	/** Serves the archive, without TLS. */
	async function serve(): Promise<string> {
		const server = createServer((_request, response) => response.end(readFileSync(archive)));
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
		return `http://127.0.0.1:${(server.address() as AddressInfo).port}/s2oci.tar.gz`;
	}

	test('comes from an address, and has the digest that was given', async () => {
		const [workspace, address] = [makeWorkspace(), await serve()];
		const container = openContainer(workspace, ROOT);
		const text = stringify({ jobs: { x: { steps: [{ uses: 's2oci/s2oci@v0' }, { run: 's2oci --version' }] } } });
		const sha256 = createHash('sha256').update(readFileSync(archive)).digest('hex');
		const { log } = await run(workspace, container, text, { inputs: { archive: address, 'archive-sha256': sha256 } });
		expect(log).toMatch(/^s2oci \d/m);
		const other = run(workspace, container, text, { inputs: { archive: address, 'archive-sha256': '0'.repeat(64) } });
		await expect(other).rejects.toThrow('does not have the SHA-256 that was given');
		const unknown = run(workspace, container, text, { inputs: { archive: address } });
		await expect(unknown).rejects.toThrow('an archive that is fetched without TLS needs the input archive-sha256');
	});

	test('that cannot be had is one line, whatever its name', async () => {
		const workspace = makeWorkspace();
		const inputs = { archive: '/nowhere\n::add-path::/evil' };
		const failed = run(workspace, openContainer(workspace, ROOT), workflow({}), { inputs });
		await expect(failed).rejects.toThrow(
			'::error title=s2oci::the archive of s2oci cannot be had from /nowhere ::add-path::',
		);
	});

	test('half of an image is no build', async () => {
		const workspace = makeWorkspace();
		const failed = run(workspace, openContainer(workspace, ROOT), workflow({ image: 'reg.example/a' }));
		await expect(failed).rejects.toThrow('::error title=s2oci::a build needs both of the inputs');
	});
});

test('what convert writes is built by the action', async () => {
	const [host, workspace] = [await builderRegistry(), makeWorkspace()];
	const file = join(workspace.root, 'app.json');
	const image = (name: string) => ({ kind: 'DockerImage', name: `${host}/${name}` });
	const value = '${{ github.token }} $HOME `id` "';
	const sourceStrategy = { from: image('builders/tiny'), env: [{ name: 'TINY_A', value }], forcePull: true };
	const output = { to: image('team/app:1'), imageLabels: [{ name: 'team', value: 'shop' }] };
	const spec = { source: { binary: {} }, strategy: { sourceStrategy }, output };
	const config = { apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'app' }, spec };
	writeFileSync(file, JSON.stringify(config));
	const converted = await s2oci(workspace, ['convert', file, '--to', 'github']);
	expect(converted.status, converted.stderr).toBe(0);
	await run(workspace, openContainer(workspace, ROOT), converted.stdout);
	const { env, labels } = readBack(`${host}/team/app:1`);
	expect(env).toContain(`TINY_A=${value}`);
	expect(labels).toMatchObject({ team: 'shop' });
});

test('a fleet is rebuilt by the matrix that the page plans', async () => {
	const [host, workspace] = [await builderRegistry(), makeWorkspace()];
	const source = assembleSource('cp /tmp/src/greeting.txt .');
	const names = ['1', '2'].map((tag) => `${host}/team/app:${tag}`);
	for (const name of names) await build(workspace, [source, `${host}/builders/tiny`, name]);
	await publishBuilder(host, 'second');
	const list = assembleSource('', { 'images.txt': names.join('\n') });
	const container = openContainer(workspace, ROOT);
	const plan = () =>
		run(workspace, container, exampleOf('github.md', 'A fleet'), {
			source: list,
			// A directory is built again where the store knows that it was built before.
			env: { S2OCI_STORE: workspace.store },
		});
	expect([...(await plan()).outputs.keys()]).toEqual(['plan', 'rebuild']);
	const planned = await s2oci(workspace, ['fleet', 'plan', ...names, '--json']);
	expect(planned.stdout.match(/"state": ?"fresh"/g)).toHaveLength(2);
	expect([...(await plan()).outputs.keys()]).toEqual(['plan']);
});

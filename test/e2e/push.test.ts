import { appendFileSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, type Finished, type RunOptions, s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import type { Faults, TestRegistry } from '../support/registry.js';
import {
	assembleSource,
	emptyRegistry,
	publish,
	readLayout,
	TINY_APP,
	tinyLayout,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

/** A registry with the tiny builder, whose layers can be mounted. */
async function mountingRegistry(faults: Faults): Promise<TestRegistry> {
	const registry = await emptyRegistry({ mount: 'accept', ...faults });
	publish(registry, readLayout(tinyLayout()));
	return registry;
}

const argumentsOf = ({ host }: TestRegistry): readonly string[] => [
	TINY_APP,
	`${host}/builders/tiny`,
	`${host}/team/app:1`,
	'--copy',
];

/** Which requests fail once `assemble` has run: with mounted base layers, the first PUT is that of the new layer. */
const PHASES = {
	'the layer': { path: /uploads/, method: 'PUT', spared: 0 },
	'the config': { path: /uploads/, method: 'PUT', spared: 1 },
	'the manifest': { path: /manifests/, method: 'PUT', spared: 0 },
} as const;

/** That the push failed as it should, and left what finishes it; the path of that. */
async function expectKept(workspace: Workspace, { status, stderr, stdout, result }: Finished): Promise<string> {
	const kept = result?.unpushed ?? '';
	expect({ status, stdout, success: result?.success }, stderr).toEqual({ status: 3, stdout: '', success: false });
	expect(existsSync(kept)).toBe(true);
	expect(stderr).toContain(`s2oci push --resume ${join(workspace.home, 'result.json')}`);
	expect(result?.error?.hint).toContain('s2oci push --resume');
	expect(statSync(dirname(kept)).mode & 0o777).toBe(0o700);
	expect(await leftovers(workspace)).toEqual([]);
	return kept;
}

function resume(
	workspace: Workspace,
	file = join(workspace.home, 'result.json'),
	options: RunOptions = {},
): Promise<Finished> {
	return s2oci(workspace, ['push', '--resume', file, '--result-file', join(workspace.home, 'pushed.json')], options);
}

const keptBy = ({ store }: Workspace): readonly string[] => readdirSync(join(store, 'unpushed'));

describe.each(Object.entries(PHASES))('a push that fails at %s', (name, phase) => {
	test('is finished without building, with the digest of the undisturbed build', async () => {
		const failures = { count: 1000, status: 403, ...phase };
		const [workspace, registry] = [makeWorkspace(), await mountingRegistry({ failures })];
		await expectKept(workspace, await s2oci(workspace, ['build', ...argumentsOf(registry)]));
		expect(registry.manifests.has('team/app:1')).toBe(false);
		expect((await resume(workspace)).status).toBe(3);
		expect(keptBy(workspace)).toHaveLength(1);
		failures.count = 0;
		const before = registry.requests.length;
		const { status, stdout, stderr } = await resume(workspace);
		expect(status, stderr).toBe(0);
		expect(stderr).not.toMatch(/assemble|rung/);
		const sent = registry.requests
			.slice(before)
			.filter(({ method, path }) => method === 'PUT' && path.includes('uploads'));
		expect(sent).toHaveLength(name === 'the layer' ? 2 : 1);
		expect(keptBy(workspace)).toEqual([]);
		expect(await leftovers(workspace)).toEqual([]);
		const { result } = await build(workspace, argumentsOf(registry));
		expect(stdout).toBe(`${registry.host}/team/app:1@${String(result.digest)}\n`);
	});
});

describe.each<UserName>(['s2oci-subuid', 's2oci-plain'])('%s', (name) => {
	test('can finish a push, too', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const failures = { count: 1000, status: 403, ...PHASES['the layer'] };
		const registry = await mountingRegistry({ failures });
		await expectKept(workspace, await s2oci(workspace, ['build', ...argumentsOf(registry)]));
		failures.count = 0;
		const { status, stderr } = await resume(workspace);
		expect(status, stderr).toBe(0);
		expect(registry.manifests.has('team/app:1')).toBe(true);
		expect(keptBy(workspace)).toEqual([]);
	});
});

test('a token that has run out is replaced', async () => {
	const failures = { count: 0, status: 401, path: /manifests/, method: 'PUT' };
	const basic = { username: 'alice', password: 'old-canary' };
	const [workspace, registry] = [makeWorkspace(), await mountingRegistry({ basic, failures })];
	const file = join(workspace.home, 'auth.json');
	const options = { env: { REGISTRY_AUTH_FILE: file } };
	const login = (password: string) => {
		const auth = Buffer.from(`alice:${password}`).toString('base64');
		writeFileSync(file, JSON.stringify({ auths: { [registry.host]: { auth } } }));
	};
	login('old-canary');
	failures.count = 1000;
	await expectKept(workspace, await s2oci(workspace, ['build', ...argumentsOf(registry)], options));
	failures.count = 0;
	basic.password = 'new-canary';
	const refused = await resume(workspace, undefined, options);
	expect(refused.status, refused.stderr).toBe(3);
	expect(refused.stderr).toContain('Then try again: s2oci push --resume');
	login('new-canary');
	const { status, stderr } = await resume(workspace, undefined, options);
	expect(status, stderr).toBe(0);
	expect(`${refused.stderr}${stderr}`).not.toContain('canary');
	expect(registry.manifests.has('team/app:1')).toBe(true);
});

test('what was kept is verified before anything is sent, and its own file names it, too', async () => {
	const failures = { count: 1000, status: 403, ...PHASES['the layer'] };
	const [workspace, registry] = [makeWorkspace(), await mountingRegistry({ failures })];
	const kept = await expectKept(workspace, await s2oci(workspace, ['build', ...argumentsOf(registry)]));
	failures.count = 0;
	appendFileSync(join(dirname(kept), 'layer'), 'x');
	const before = registry.requests.length;
	const { status, stderr } = await resume(workspace, kept);
	expect(status, stderr).toBe(3);
	expect(stderr).toContain('build again');
	expect(registry.requests).toHaveLength(before);
});

test('an immutable tag that has the image already is a success', async () => {
	const failures = { count: 1000, status: 403, ...PHASES['the manifest'] };
	const [workspace, registry] = [makeWorkspace(), await mountingRegistry({ failures, immutableTags: true })];
	await expectKept(workspace, await s2oci(workspace, ['build', ...argumentsOf(registry)]));
	failures.count = 0;
	const other = makeWorkspace();
	const { result } = await build(other, argumentsOf(registry));
	const { status, stdout, stderr } = await resume(workspace);
	expect(status, stderr).toBe(0);
	expect(stdout).toContain(String(result.digest));
});

test('prune removes what nobody resumed', async () => {
	const failures = { count: 1000, status: 403, ...PHASES['the manifest'] };
	const [workspace, registry] = [makeWorkspace(), await mountingRegistry({ failures })];
	await expectKept(workspace, await s2oci(workspace, ['build', ...argumentsOf(registry)]));
	await s2oci(workspace, ['prune']);
	await s2oci(workspace, ['prune', '--keep-bytes', '0']);
	expect(keptBy(workspace)).toHaveLength(1);
	const pruned = await s2oci(workspace, ['prune', '--older-than', '0s']);
	expect(pruned.stdout).toMatch(/^removed unpushed\/[0-9a-f]{12}, which a failed push had left$/m);
	expect(keptBy(workspace)).toEqual([]);
	const { status, stderr } = await resume(workspace);
	expect(status).toBe(2);
	expect(stderr).toMatch(/there is nothing to push by .*\nhint: .*else build again/);
});

test('a file that names nothing that was kept is refused', async () => {
	const workspace = makeWorkspace();
	const file = join(workspace.home, 'some.json');
	for (const text of [
		'',
		'[]',
		'{"success":true}',
		'{"unpushed":"/etc/passwd"}',
		'{"unpushed":"/nonexistent/unpushed/a/push.json"}',
	]) {
		writeFileSync(file, text);
		const { status, stderr } = await resume(workspace, file);
		expect({ text, status }, stderr).toEqual({ text, status: 2 });
	}
	expect((await resume(workspace, '/nonexistent')).status).toBe(2);
	expect((await s2oci(workspace, ['push'])).status).toBe(2);
});

test('whether we may push is found out before assemble runs, also where all base layers are there', async () => {
	const failures = { count: 0, status: 403, path: /uploads/ };
	const [workspace, registry] = [makeWorkspace(), await mountingRegistry({ failures })];
	await build(workspace, argumentsOf(registry));
	failures.count = 1000;
	const { host } = registry;
	const args = ['build', assembleSource('echo assemble ran; sleep 100'), `${host}/builders/tiny`, `${host}/team/app:1`];
	const { status, stderr, result } = await s2oci(workspace, args);
	expect(status, stderr).toBe(3);
	expect(stderr).not.toContain('assemble ran');
	expect(result?.error?.code).toBe('REGISTRY_DENIED');
	expect(result).not.toHaveProperty('unpushed');
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { builderRegistry, publishBuilder, readBack } from '../support/ci-registry.js';
import { exampleOf } from '../support/documentation.js';
import { openGitlabProject } from '../support/gitlab.js';
import { makeWorkspace, requirePrograms, requireRoot } from '../support/host.js';
import { CONTAINER_USERS, openContainer, type RunInContainer } from '../support/plain-container.js';
import { assembleSource, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

beforeEach((context) => {
	requireRoot(context);
	requirePrograms(context, 'podman', 'runc', 'skopeo', 'rsync');
});

const BUILDER = 'quay.io/sclorg/nodejs-22-c9s';
const KEEP = 'cp /tmp/src/greeting.txt .';
/** What a shell, YAML and git could take for something else. */
const HOSTILE = `a "b' c; $(touch /tmp/x) \`id\` \\ # {{ END`;

describe.each(CONTAINER_USERS)('the component, as %s', (_who, user, rung) => {
	async function open(pipeline: (host: string) => string, source = assembleSource(KEEP)) {
		const [host, workspace] = [await builderRegistry(), makeWorkspace()];
		const given = { source, pipeline: pipeline(host) };
		const project = openGitlabProject(workspace, openContainer(workspace, user), given);
		return { host, workspace, project, run: () => project.run({ CI_REGISTRY_IMAGE: `${host}/team/app` }) };
	}

	test('builds what the page shows, and hands image and digest on', async () => {
		const { host, run } = await open((host) =>
			exampleOf('gitlab.md', 'GitLab', { [BUILDER]: `${host}/builders/tiny` }),
		);
		const { stdout, stderr } = await run();
		expect(stderr).toContain(rung);
		const name = /deploy (\S+)@sha256:/.exec(stdout)?.[1] ?? '';
		expect(name).toMatch(new RegExp(`^${host}/team/app:[0-9a-f]{8}$`));
		expect(stdout).toContain(`deploy ${name}@${readBack(name).digest}\n`);
	});

	test('joins images of two platforms, as the page shows', async () => {
		const { host, run } = await open((host) =>
			exampleOf('gitlab.md', 'Several platforms', { [BUILDER]: `${host}/builders/tiny` }),
		);
		const { stdout } = await run();
		const index = /(\S+)@sha256:[0-9a-f]{64}\n/.exec(stdout.slice(stdout.indexOf('index ')))?.[1] ?? '';
		expect(index).toContain(`${host}/team/app:`);
		const each = ['amd64', 'arm64'].map((architecture) => readBack(index, architecture));
		expect(each.map(({ architecture }) => architecture)).toEqual(['amd64', 'arm64']);
	});
});

test('inputs are never more than values', async () => {
	const [host, workspace] = [await builderRegistry(), makeWorkspace()];
	const inputs = {
		'builder-image': `${host}/builders/tiny`,
		image: `${host}/team/app:1`,
		env: `TINY_A=${HOSTILE.replaceAll('$', '$$$$')}\n\nTINY_B=two\nTINY_C=x=y`,
		labels: `org.example.a=${HOSTILE.replaceAll('$', '$$$$')}\norg.example.b=`,
		options: '--description=two words\n--memory=1g',
		'before-push': 'test "$$TINY_B" = two && test -f greeting.txt',
		'context-dir': 'a dir',
	};
	const pipeline = JSON.stringify({ include: [{ component: '$CI_SERVER_FQDN/s2oci/s2oci/build@0.1', inputs }] });
	const source = assembleSource('', { 'a dir/greeting.txt': 'x', 'a dir/.s2i/bin/assemble': `#!/bin/sh\n${KEEP}\n` });
	const container = openContainer(workspace, { uid: 0, gid: 0 });
	await openGitlabProject(workspace, container, { source, pipeline }).run({});
	const { env, labels } = readBack(`${host}/team/app:1`);
	expect(env).toEqual(expect.arrayContaining([`TINY_A=${HOSTILE}`, 'TINY_B=two', 'TINY_C=x=y']));
	expect(labels).toMatchObject({ 'org.example.a': HOSTILE, 'org.example.b': '', 'io.k8s.description': 'two words' });
});

test('what convert writes is built by the component', async () => {
	const [host, workspace] = [await builderRegistry(), makeWorkspace()];
	const file = join(workspace.root, 'app.json');
	const image = (name: string) => ({ kind: 'DockerImage', name: `${host}/${name}` });
	const sourceStrategy = {
		from: image('builders/tiny'),
		env: [{ name: 'TINY_A', value: '$HOME `id` "' }],
		forcePull: true,
	};
	const output = { to: image('team/app:1'), imageLabels: [{ name: 'team', value: 'shop' }] };
	const spec = { source: { binary: {} }, strategy: { sourceStrategy }, output };
	const config = { apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'app' }, spec };
	writeFileSync(file, JSON.stringify(config));
	const converted = await s2oci(workspace, ['convert', file, '--to', 'gitlab']);
	expect(converted.status, converted.stderr).toBe(0);
	const given = { source: assembleSource(KEEP), pipeline: converted.stdout };
	await openGitlabProject(workspace, openContainer(workspace, { uid: 0, gid: 0 }), given).run({});
	const { env, labels } = readBack(`${host}/team/app:1`);
	expect(env).toContain('TINY_A=$HOME `id` "');
	expect(labels).toMatchObject({ team: 'shop' });
});

test('a fleet is rebuilt by the child pipeline that the page plans', async () => {
	const [host, workspace] = [await builderRegistry(), makeWorkspace()];
	const source = assembleSource(KEEP);
	const names = ['1', '2'].map((tag) => `${host}/team/app:${tag}`);
	for (const name of names) await build(workspace, [source, `${host}/builders/tiny`, name]);
	await publishBuilder(host, 'second');
	const list = assembleSource('', { 'images.txt': names.join('\n') });
	const container = openContainer(workspace, { uid: 0, gid: 0 });
	// A directory is built again where the store knows that it was built before.
	const withStore: RunInContainer = (words, options) =>
		container(words, { ...options, env: { ...options?.env, S2OCI_STORE: workspace.store } });
	const before = names.map((name) => readBack(name).digest);
	const given = { source: list, pipeline: exampleOf('gitlab.md', 'A fleet') };
	const { stdout } = await openGitlabProject(workspace, withStore, given).run({});
	expect(stdout).not.toContain('FAIL');
	const plan = await s2oci(workspace, ['fleet', 'plan', ...names, '--json']);
	expect(plan.stdout.match(/"state":\s*"fresh"/g)).toHaveLength(2);
	expect(names.map((name) => readBack(name).digest)).not.toEqual(before);
});

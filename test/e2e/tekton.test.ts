import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { s2oci } from '../support/build.js';
import { buildConfigOf, HOSTILE, planFleet, withCluster } from '../support/cluster/open-cluster.js';
import { type Job, runJob } from '../support/cluster/run-job.js';
import {
	type Param,
	runTask,
	type StepAction,
	type TaskEnded,
	type TaskRun,
	type TaskSpec,
} from '../support/cluster/run-task.js';
import type { VolumeSource } from '../support/cluster/volumes.js';
import { faultsOf } from '../support/custom-resource.js';
import { serveGit } from '../support/git-server.js';
import { makeWorkspace } from '../support/host.js';
import { assembleSource, makeSource, TINY_APP, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const cluster = withCluster();

interface Resource<T> {
	readonly kind: string;
	readonly spec: T;
}

type Binding = VolumeSource & { readonly name: string };

type Shown<T> = T & { readonly kind: string };

interface Kustomization {
	readonly patches: readonly { readonly target: { readonly kind: string }; readonly patch: string }[];
}

const TASK_TEXT = readFileSync('ci/tekton/task.yaml', 'utf8');
const ACTION_TEXT = readFileSync('ci/tekton/step-action.yaml', 'utf8');
const TASK = (parse(TASK_TEXT) as Resource<TaskSpec>).spec;
const ACTION = parse(ACTION_TEXT) as StepAction;

/** The resource of `kind` that the page shows, with the images and registries of the cluster. */
function shown<T>(kind: string): Shown<T> {
	const page = readFileSync('docs/tekton.md', 'utf8')
		.replaceAll('registry.example/ci/s2oci', cluster().jobImage)
		.replaceAll('quay.io/sclorg/nodejs-22-c9s', cluster().builder)
		.replaceAll('registry.example', cluster().host);
	const blocks = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) => parse(text) as Shown<T>);
	const found = blocks.find((each) => each.kind === kind);
	if (found === undefined) throw new Error(`docs/tekton.md shows no ${kind}`);
	return found;
}

/** The securityContext that the page puts into place for root. */
function rootOf(kind: string): object {
	const { patch = '' } = shown<Kustomization>('Kustomization').patches.find(({ target }) => target.kind === kind) ?? {};
	const [{ op, path, value }] = parse(patch) as [
		{ readonly op: string; readonly path: string; readonly value: object },
	];
	expect([op, path]).toEqual(['replace', kind === 'Task' ? '/spec/steps/0/securityContext' : '/spec/securityContext']);
	return value;
}

function taskAs(securityContext: object | undefined): TaskSpec {
	const steps = TASK.steps.map((step) => ({ ...step, ...(securityContext !== undefined && { securityContext }) }));
	return { ...TASK, steps };
}

const UNKNOWN = { runAsUser: 1_000_660_000, runAsGroup: 0, runAsNonRoot: true };

const WHO: readonly (readonly [string, (kind: string) => object | undefined])[] = [
	['its user', () => undefined],
	['root', rootOf],
	['a user whom nobody knows', () => UNKNOWN],
];

function params(target: string): NonNullable<TaskRun['params']> {
	return [
		{ name: 'IMAGE', value: `${cluster().host}/${target}` },
		{ name: 'BUILDER_IMAGE', value: cluster().builder },
		{ name: 'S2OCI_IMAGE', value: cluster().jobImage },
		{ name: 'ENV_VARS', value: ['TINY_GREETING=hello, you', `TINY_ODD=${HOSTILE}`] },
		{ name: 'LABELS', value: [`odd=${HOSTILE}`, 'team=shop'] },
	];
}

async function expectBuilt({ status, results, stderr }: TaskEnded, target: string): Promise<void> {
	expect(status, stderr).toBe(0);
	const image = await cluster().pull(`${cluster().host}/${target}`);
	expect(results).toMatchObject({ IMAGE_URL: `${cluster().host}/${target.split(':')[0]}`, IMAGE_DIGEST: image.digest });
	expect(JSON.parse(results['BUILDER_ARTIFACT_INPUTS'] ?? '')).toEqual({
		uri: cluster().builder.replace(/:1$/, ''),
		digest: expect.stringMatching(/^sha256:/) as string,
	});
	expect(image.labels).toMatchObject({ odd: HOSTILE, team: 'shop' });
	expect(image.env).toEqual(expect.arrayContaining([`TINY_ODD=${HOSTILE}`, 'TINY_GREETING=hello, you']));
}

const push = (name: string) => ({ push: { [name]: cluster().login } });
const dockerconfig = { secret: { secretName: 'push' } };

describe('the Task', () => {
	test.each(WHO)('builds and pushes what is in its workspace as %s', async (who, securityOf) => {
		const target = `task/${who.replaceAll(' ', '-')}:1`;
		const given = { task: taskAs(securityOf('Task')), params: params(target), objects: push('.dockerconfigjson') };
		const workspaces = { source: TINY_APP, dockerconfig, store: { emptyDir: {} } };
		await expectBuilt(await runTask(cluster().node, { ...given, workspaces }), target);
	});

	test('builds a git repository as the TaskRun of the page says, and Chains is told of the commit', async () => {
		const { spec } = shown<{ readonly spec: { readonly params: Param[]; readonly workspaces: Binding[] } }>('TaskRun');
		const { url, commit } = await serveGit(makeSource({ 'greeting.txt': 'hello' }));
		const given = spec.params.map((param) => (param.name === 'SOURCE' ? { ...param, value: url } : param));
		const workspaces = Object.fromEntries(spec.workspaces.map(({ name, ...source }) => [name, source]));
		const run = { task: TASK, params: given, workspaces, objects: push('.dockerconfigjson') };
		const { status, stderr, results } = await runTask(cluster().node, run);
		expect(status, stderr).toBe(0);
		const { digest, env } = await cluster().pull(`${cluster().host}/team/app:1`);
		expect(results).toMatchObject({ IMAGE_DIGEST: digest, 'CHAINS-GIT_URL': url, 'CHAINS-GIT_COMMIT': commit });
		expect(env).toContain('NODE_ENV=production');
	});

	test('takes the other options, and fails without results where assemble does', async () => {
		const given = (options: readonly string[]) => [...params('task/other:1'), { name: 'OPTIONS', value: options }];
		const workspaces = { source: assembleSource('exit 3'), dockerconfig };
		const run = { task: TASK, workspaces, objects: push('config.json') };
		const failed = await runTask(cluster().node, { ...run, params: given([]) });
		expect([failed.status, failed.results]).toEqual([1, {}]);
		const help = await runTask(cluster().node, { ...run, params: given(['--help']) });
		expect([help.status, help.stdout]).toEqual([0, expect.stringContaining('Usage: s2oci build')]);
	});
});

describe('the StepAction', () => {
	test.each(WHO)('builds and pushes as %s in the Task of the page', async (who, securityOf) => {
		const securityContext = securityOf('StepAction');
		const action = { ...ACTION, spec: { ...ACTION.spec, ...(securityContext !== undefined && { securityContext }) } };
		const image = `${cluster().host}/step/${who.replaceAll(' ', '-')}`;
		const { status, results, stderr, stdout } = await runTask(cluster().node, {
			task: shown<Resource<TaskSpec>>('Task').spec,
			params: [{ name: 'IMAGE', value: `${image}:1` }],
			stepActions: [action],
			workspaces: { source: TINY_APP, dockerconfig },
			objects: push('config.json'),
		});
		expect(status, stderr).toBe(0);
		const { digest } = await cluster().pull(`${image}:1`);
		expect(results).toEqual({ IMAGE_URL: image, IMAGE_DIGEST: digest });
		expect(stdout).toBe(`built ${image}@${digest}\n`);
	});

	test('is called as the Task is, and nobody pastes a parameter into a script', () => {
		const [step] = TASK.steps;
		const inTask = (words: readonly string[] = []) =>
			words.map((word) => word.replace('$(step.results.', '$(results.'));
		expect(inTask(ACTION.spec.args)).toEqual(step?.args);
		expect(ACTION.spec.securityContext).toEqual(step?.securityContext);
		const loop = (script = '') => script.slice(script.indexOf('# What follows'));
		expect(loop(ACTION.spec.script)).toBe(loop(step?.script));
		expect(`${step?.script ?? ''}${ACTION.spec.script ?? ''}`).not.toMatch(/\$\([a-z]/);
	});
});

test('the files, and what the page shows, are what Tekton takes', (context) => {
	expect(faultsOf(context, 'tekton-task.yaml', 'v1', parse(TASK_TEXT))).toEqual([]);
	expect(faultsOf(context, 'tekton-task.yaml', 'v1', shown('Task'))).toEqual([]);
	expect(faultsOf(context, 'tekton-taskrun.yaml', 'v1', shown('TaskRun'))).toEqual([]);
	expect(faultsOf(context, 'tekton-stepaction.yaml', 'v1beta1', parse(ACTION_TEXT))).toEqual([]);
});

test('the TaskRun that s2oci convert writes runs with the Task', async () => {
	const workspace = makeWorkspace();
	const { url, commit } = await serveGit(makeSource({ 'web/greeting.txt': 'hello' }));
	const file = join(workspace.home, 'app.json');
	writeFileSync(file, JSON.stringify(buildConfigOf(cluster(), { url, contextDir: 'web', target: 'converted/app:1' })));
	const converted = await s2oci(workspace, ['convert', file, '--to', 'tekton']);
	const { spec } = parse(converted.stdout) as { readonly spec: { readonly taskRef: object; readonly params: Param[] } };
	expect(spec.taskRef).toEqual({ name: (parse(TASK_TEXT) as StepAction).metadata.name });
	// The image for jobs is the cluster's, and its service account has the credentials.
	const image = { name: 'S2OCI_IMAGE', value: cluster().jobImage };
	const run = {
		task: TASK,
		params: [...spec.params, image],
		workspaces: { dockerconfig },
		objects: push('config.json'),
	};
	const { status, stderr, results } = await runTask(cluster().node, run);
	expect(status, stderr).toBe(0);
	const pulled = await cluster().pull(`${cluster().host}/converted/app:1`);
	expect(results).toMatchObject({ IMAGE_DIGEST: pulled.digest, 'CHAINS-GIT_COMMIT': commit });
	expect(pulled.env).toContain(`TINY_ODD=${HOSTILE}`);
	expect(pulled.labels).toMatchObject({ team: 'shop' });
});

/** Has the Task build a git repository, and then another builder image in the place of the one that it took. */
async function makeStale(target: string): Promise<string> {
	const [builder, image] = [`${cluster().host}/builders/${target}`, `${cluster().host}/${target}`];
	await cluster().publishBuilder(builder, 'one');
	const { url } = await serveGit(makeSource({ 'greeting.txt': 'hello' }));
	const words = { SOURCE: url, BUILDER_IMAGE: builder, IMAGE: image, S2OCI_IMAGE: cluster().jobImage };
	const given = Object.entries(words).map(([name, value]) => ({ name, value }));
	const built = await runTask(cluster().node, {
		...{ task: TASK, params: given, workspaces: { dockerconfig }, objects: push('config.json') },
	});
	expect(built.status, built.stderr).toBe(0);
	await cluster().publishBuilder(builder, 'two');
	return image;
}

const stateOf = (json: string) =>
	(JSON.parse(json) as { readonly images: readonly [{ readonly state: string }] }).images[0].state;

describe('what s2oci fleet plan prints', () => {
	test('for Tekton rebuilds what is stale', async () => {
		const [workspace, image] = [makeWorkspace(), await makeStale('fleet/tekton:1')];
		expect(stateOf(await planFleet(cluster(), workspace, image, '--json'))).toBe('stale');
		const words = ['--for', 'tekton', '--job-image', cluster().jobImage, '--credentials', 'push'];
		const work = JSON.parse(await planFleet(cluster(), workspace, image, ...words)) as {
			readonly items: readonly { readonly spec: { readonly taskSpec: TaskSpec; readonly params: Param[] } }[];
		};
		for (const { spec } of work.items) {
			const run = { task: spec.taskSpec, params: spec.params, objects: push('.dockerconfigjson') };
			const { status, stderr, results } = await runTask(cluster().node, run);
			expect(status, stderr).toBe(0);
			const { digest } = await cluster().pull(image);
			expect(results).toEqual({ IMAGE_URL: image.replace(/:1$/, ''), IMAGE_DIGEST: digest });
		}
		expect(stateOf(await planFleet(cluster(), workspace, image, '--json'))).toBe('fresh');
	});

	test('for Kubernetes rebuilds what is stale', async () => {
		const [workspace, image] = [makeWorkspace(), await makeStale('fleet/kubernetes:1')];
		const words = ['--for', 'kubernetes', '--job-image', cluster().jobImage, '--credentials', 'push'];
		const { items } = JSON.parse(await planFleet(cluster(), workspace, image, ...words)) as {
			readonly items: readonly [
				{ readonly metadata: { readonly name: string }; readonly data: Readonly<Record<string, string>> },
				Job,
			];
		};
		const [names, job] = items;
		const ended = await runJob(cluster().node, job, {
			...push('.dockerconfigjson'),
			[names.metadata.name]: names.data,
		});
		expect(ended.map(({ status, stderr }) => (status === 0 ? '' : stderr))).toEqual(['']);
		expect(stateOf(await planFleet(cluster(), workspace, image, '--json'))).toBe('fresh');
	});
});

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { s2oci } from '../support/build.js';
import type { SecurityContext } from '../support/cluster/container.js';
import { buildConfigOf, HOSTILE, planFleet, withCluster } from '../support/cluster/open-cluster.js';
import { type BuildSpec, type Namespace, runBuild, type Strategy } from '../support/cluster/run-build.js';
import type { TaskEnded } from '../support/cluster/run-task.js';
import { faultsOf } from '../support/custom-resource.js';
import { serveGit } from '../support/git-server.js';
import { makeWorkspace } from '../support/host.js';
import { assembleSource, makeSource, TINY_APP, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const cluster = withCluster();

const FILES = ['strategy.yaml', 'in-place-strategy.yaml'] as const;
const PAGE = readFileSync('docs/shipwright.md', 'utf8');

function textOf(file: string): string {
	return readFileSync(`ci/shipwright/${file}`, 'utf8');
}

/** The strategy in `file` with the images of the cluster. */
function strategyOf(file: string): Strategy {
	const text = textOf(file)
		.replaceAll('registry.example/ci/s2oci-volume', cluster().volumeImage)
		.replaceAll('registry.example/ci/s2oci', cluster().jobImage);
	return parse(text) as Strategy;
}

/** Changed as the page says for root. */
function asRoot(strategy: Strategy): Strategy {
	const line = /"securityContext":.*$/m.exec(PAGE)?.[0] ?? '';
	const { spec } = JSON.parse(`{"spec":{${line}}}`) as { readonly spec: { readonly securityContext: SecurityContext } };
	const steps = strategy.spec.steps.map((step) => ({ ...step, securityContext: {} }));
	return { ...strategy, spec: { ...strategy.spec, securityContext: spec.securityContext, steps } };
}

type Params = NonNullable<BuildSpec['paramValues']>;

function buildOf(strategy: string, target: string, paramValues: Params = []): BuildSpec {
	return {
		strategy: { kind: 'ClusterBuildStrategy', name: strategy },
		paramValues: [{ name: 'builder-image', value: cluster().builder }, ...paramValues],
		output: { image: `${cluster().host}/${target}`, pushSecret: 'push' },
	};
}

function namespaceOf(more: Namespace = {}): Namespace {
	return { source: TINY_APP, ...more, objects: { push: { '.dockerconfigjson': cluster().login }, ...more.objects } };
}

const ENVIRONMENT: Params = [
	{ name: 'build-env', values: [{ value: 'TINY_GREETING=hello, you' }, { value: `TINY_ODD=${HOSTILE}` }] },
];

async function expectBuilt({ status, results, stderr }: TaskEnded, target: string): Promise<void> {
	expect(status, stderr).toBe(0);
	const { digest, size, env } = await cluster().pull(`${cluster().host}/${target}`);
	expect(results).toEqual({ 'shp-image-digest': digest, 'shp-image-size': String(size) });
	expect(env).toEqual(expect.arrayContaining(['TINY_GREETING=hello, you', `TINY_ODD=${HOSTILE}`]));
}

describe('the strategy', () => {
	test.each<[who: string, change: (strategy: Strategy) => Strategy]>([
		['its user', (strategy) => strategy],
		['root', asRoot],
		[
			'a user whom nobody knows',
			({ spec, ...rest }) => ({
				...rest,
				spec: { ...spec, securityContext: { runAsUser: 1_000_660_000, runAsGroup: 0 } },
			}),
		],
	])('builds and pushes as %s', async (who, change) => {
		const target = `strategy/${who.replaceAll(' ', '-')}:1`;
		const build = buildOf('s2oci', target, ENVIRONMENT);
		await expectBuilt(
			await runBuild(cluster().node, change(strategyOf('strategy.yaml')), build, namespaceOf()),
			target,
		);
	});

	test('says what failed', async () => {
		const run = (script: string, params: Params) =>
			runBuild(
				cluster().node,
				strategyOf('strategy.yaml'),
				buildOf('s2oci', 'failed/app:1', params),
				namespaceOf({ source: assembleSource(script) }),
			);
		const failed = await run('exit 3', []);
		expect(failed.status).toBe(1);
		expect(failed.results).toEqual({
			'shp-error-reason': 'AssembleFailed',
			'shp-error-message': expect.stringContaining('3') as string,
		});
		const blocked = await run('true', [
			{ name: 'registries-block', values: [{ value: 'r.example' }, { value: cluster().host }] },
		]);
		expect([blocked.status, blocked.results['shp-error-reason']]).toEqual([2, 'RegistryBlocked']);
	});

	test('takes the parameters and volumes of a Build that was for Red Hat s2i', async () => {
		const short = 'builders/pki:1';
		await cluster().publishBuilder(`${cluster().host}/${short}`, 'pki');
		const build: BuildSpec = {
			...buildOf('s2oci', 'other/app:1'),
			paramValues: [
				{ name: 'builder-image', value: short },
				{ name: 'registries-search', values: [{ value: cluster().host }, { value: 'quay.example' }] },
				{ name: 'registries-insecure', values: [{ value: cluster().host }] },
				{ name: 'registries-block', values: [{ value: 'r.example' }] },
				{ name: 'pull-policy', value: 'if-not-present' },
				{ name: 'incremental', value: 'true' },
				{ name: 'storage-driver', value: 'vfs' },
				{ name: 'scripts-url', value: '' },
			],
			volumes: [{ name: 'etc-pki-entitlement', secret: { secretName: 'entitlement' } }],
		};
		const source = assembleSource('cat /etc/pki/entitlement/key.pem; cp /tmp/src/greeting.txt .');
		const objects = { entitlement: { 'key.pem': 'entitled' } };
		const { status, stderr } = await runBuild(
			cluster().node,
			strategyOf('strategy.yaml'),
			build,
			namespaceOf({ source, objects }),
		);
		expect(status, stderr).toBe(0);
		expect(stderr).toContain('entitled');
	});
});

describe('the strategy in place', () => {
	test.each<[who: string, security: SecurityContext]>([
		["the builder image's user", {}],
		['a user whom nobody knows', { runAsUser: 1_000_660_000, runAsGroup: 0 }],
	])('builds and pushes as %s', async (who, security) => {
		const target = `in-place/${who.replaceAll(/\W/g, '-')}:1`;
		const build = buildOf('s2oci-in-place', target, ENVIRONMENT);
		const ended = await runBuild(
			cluster().node,
			strategyOf('in-place-strategy.yaml'),
			build,
			namespaceOf({ security }),
		);
		await expectBuilt(ended, target);
		expect(ended.stderr).toMatch(/rung 6/i);
	});

	test('is not started as root', async () => {
		const build = buildOf('s2oci-in-place', 'in-place/root:1');
		const security = { runAsUser: 0 };
		const run = runBuild(cluster().node, strategyOf('in-place-strategy.yaml'), build, namespaceOf({ security }));
		await expect(run).rejects.toThrow('runAsNonRoot');
	});
});

test('both take the same parameters, by the same script, into which nothing is pasted', () => {
	const [one, other] = FILES.map((file) => parse(textOf(file)) as Strategy);
	expect(one?.spec.parameters).toEqual(other?.spec.parameters);
	const scripts = [one, other].map((strategy) => strategy?.spec.steps.at(-1)?.args?.[1] ?? '');
	for (const script of scripts) expect(script).not.toMatch(/\$\((?:params|results)/);
	const [first = '', second = ''] = scripts.map((script) => script.replace(/^.*entitlement.*\n/m, ''));
	expect(first).toBe(second);
});

test('the files, and what the page shows, are what Shipwright takes', (context) => {
	for (const file of [...FILES, 'rebuild-strategy.yaml']) {
		expect(faultsOf(context, 'shipwright-clusterbuildstrategies.yaml', 'v1beta1', parse(textOf(file)))).toEqual([]);
	}
	const blocks = [...PAGE.matchAll(/```yaml\n([^]*?)```/g)].map(
		([, text = '']) => parse(text) as { readonly kind: string },
	);
	const builds = blocks.filter(({ kind }) => kind === 'Build');
	expect(builds).toHaveLength(1);
	expect(faultsOf(context, 'shipwright-builds.yaml', 'v1beta1', builds[0])).toEqual([]);
});

test('the Build that s2oci convert writes runs with the strategy', async () => {
	const workspace = makeWorkspace();
	const { url } = await serveGit(makeSource({ 'web/greeting.txt': 'hello' }));
	const file = join(workspace.home, 'app.json');
	writeFileSync(file, JSON.stringify(buildConfigOf(cluster(), { url, contextDir: 'web', target: 'converted/app:1' })));
	const converted = await s2oci(workspace, ['convert', file, '--to', 'shipwright']);
	const { spec } = parse(converted.stdout) as { readonly spec: BuildSpec };
	const output = { ...spec.output, pushSecret: 'push' };
	const { status, stderr, results } = await runBuild(
		cluster().node,
		strategyOf('strategy.yaml'),
		{ ...spec, output },
		namespaceOf(),
	);
	expect(status, stderr).toBe(0);
	const pulled = await cluster().pull(`${cluster().host}/converted/app:1`);
	expect(results['shp-image-digest']).toBe(pulled.digest);
	expect(pulled.env).toContain(`TINY_ODD=${HOSTILE}`);
});

test('the BuildRuns that s2oci fleet plan prints rebuild what is stale', async () => {
	const [workspace, builder] = [makeWorkspace(), `${cluster().host}/builders/moving:1`];
	await cluster().publishBuilder(builder, 'one');
	const { url } = await serveGit(makeSource({ 'greeting.txt': 'hello' }));
	const image = `${cluster().host}/fleet/app:1`;
	const built = await s2oci(workspace, ['build', url, builder, image], {
		env: { REGISTRY_AUTH_FILE: cluster().node.authFile },
	});
	expect(built.status, built.stderr).toBe(0);
	await cluster().publishBuilder(builder, 'two');
	const work = JSON.parse(
		await planFleet(cluster(), workspace, image, '--for', 'shipwright', '--credentials', 'push'),
	) as {
		readonly items: readonly { readonly spec: { readonly build: { readonly spec: BuildSpec } } }[];
	};
	expect(work.items).toHaveLength(1);
	for (const { spec } of work.items) {
		const ended = await runBuild(cluster().node, strategyOf('rebuild-strategy.yaml'), spec.build.spec, namespaceOf());
		expect(ended.status, ended.stderr).toBe(0);
		const { digest, size } = await cluster().pull(image);
		expect(ended.results).toEqual({ 'shp-image-digest': digest, 'shp-image-size': String(size) });
	}
	expect(await planFleet(cluster(), workspace, image, '--json')).toContain('"fresh"');
});

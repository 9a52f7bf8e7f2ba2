import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import { makeIndex } from '../../src/oci/make-index.js';
import type { FleetImage } from '../../src/pipeline/fleet/plan.js';
import { openRegistries, type Registries } from '../../src/registry/registries.js';
import { build, PROGRAM, s2oci, startS2oci } from '../support/build.js';
import { makeWorkspace, type Workspace } from '../support/host.js';
import { jsonBytes, testImage, writeImage } from '../support/images.js';
import { type RealRegistry, startRealRegistry } from '../support/real-registry.js';
import { makeSource, tinyParts, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const signal = AbortSignal.timeout(300_000);

function connect(): Registries {
	const registries = openRegistries({ env: {}, insecureRegistries: [], caBundle: undefined, userAgent: 's2oci/test' });
	onTestFinished(() => registries.close());
	return registries;
}

/** Pushes the tiny builder as it was or is at `version`. */
async function publishBuilder({ host }: RealRegistry, version: string): Promise<void> {
	const { tars, config } = tinyParts();
	const image = testImage({ layers: tars, config: { ...config, author: version } });
	const repository = connect().open({ registry: host, path: 'builders/tiny' });
	await writeImage(image, repository, '1', signal);
}

/** Builds `count` applications from the builder as it is. */
async function buildApps(workspace: Workspace, { host }: RealRegistry, count: number): Promise<readonly string[]> {
	const images = Array.from({ length: count }, (_, index) => `${host}/apps/app-${index}:1`);
	for (const image of images) {
		await build(workspace, [makeSource({ name: image }), `${host}/builders/tiny:1`, image]);
	}
	return images;
}

function statesOf(stdout: string): readonly string[] {
	return (JSON.parse(stdout) as { images: readonly FleetImage[] }).images.map(({ state }) => state);
}

test('what engines are told to do rebuilds what is stale, and is no more in the next plan', async () => {
	const [workspace, registry] = [makeWorkspace(), await startRealRegistry()];
	await publishBuilder(registry, 'one');
	const images = await buildApps(workspace, registry, 4);
	const list = join(workspace.root, 'images.txt');
	writeFileSync(list, images.join('\n'));
	const plan = async (...args: readonly string[]) => {
		const ran = await s2oci(workspace, ['fleet', 'plan', '--from', list, ...args]);
		expect(ran.status, ran.stderr).toBe(0);
		return ran;
	};
	expect(statesOf((await plan('--json')).stdout)).toEqual(['fresh', 'fresh', 'fresh', 'fresh']);
	await publishBuilder(registry, 'two');
	const table = (await plan()).stdout;
	expect(table).toMatch(
		/^stale {4}127\.0\.0\.1:\d+\/apps\/app-0:1 {2}127\S+\/builders\/tiny:1 was sha256:\w{12} and is sha256:\w{12}$/m,
	);
	expect(table.trimEnd().split('\n').at(-1)).toBe('4 images: 4 stale, 0 fresh, 0 unknown');

	const jobs = ['--job-image', 'registry.example/ci/s2oci'];
	const gitlab = await plan('--for', 'gitlab', '--canary', '1', ...jobs);
	expect(gitlab.stderr).toContain('4 images: 4 stale');
	runGitlab(workspace, gitlab.stdout, 'canary');
	expect(statesOf((await plan('--json')).stdout)).toEqual(['fresh', 'stale', 'stale', 'stale']);
	runTekton(workspace, (await plan('--for', 'tekton', '--max-parallel', '1', ...jobs)).stdout);
	expect(statesOf((await plan('--json')).stdout)).toEqual(['fresh', 'fresh', 'stale', 'stale']);
	runKubernetes(workspace, (await plan('--for', 'kubernetes', ...jobs)).stdout);
	expect(statesOf((await plan('--json')).stdout)).toEqual(['fresh', 'fresh', 'fresh', 'fresh']);
	expect((await plan('--for', 'github')).stdout).toBe('{"include":[]}\n');
});

/** Runs `words` as a job would, with an s2oci of this name in PATH. */
function runJob(
	{ root, home, store, temporary }: Workspace,
	words: readonly string[],
	env: Readonly<Record<string, string>> = {},
) {
	const bin = join(root, 'bin');
	mkdirSync(bin, { recursive: true });
	writeFileSync(join(bin, 's2oci'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, { mode: 0o755 });
	const [program = '', ...args] = words;
	const PATH = `${bin}:${process.env['PATH'] ?? ''}`;
	const all = { PATH, HOME: home, TMPDIR: temporary, S2OCI_STORE: store, ...env };
	execFileSync(program, args, { cwd: root, env: all, stdio: ['ignore', 'pipe', 'pipe'] });
}

type Pipeline = Readonly<
	Record<
		string,
		{ readonly stage?: string; readonly script?: readonly string[]; readonly variables?: Record<string, string> }
	>
>;

function runGitlab(workspace: Workspace, text: string, stage: string): void {
	const pipeline = JSON.parse(text) as Pipeline;
	const script = pipeline['.rebuild']?.script ?? [];
	for (const job of Object.values(pipeline).filter((each) => each.stage === stage)) {
		runJob(workspace, ['bash', '-euo', 'pipefail', '-c', script.join('\n')], job.variables);
	}
}

interface Items<T> {
	readonly items: readonly T[];
}
interface Container {
	readonly command: readonly string[];
	readonly args: readonly string[];
}

interface TaskRun {
	readonly spec: {
		readonly params: readonly { readonly name: string; readonly value: string }[];
		readonly taskSpec: { readonly steps: readonly Container[] };
	};
}

function runTekton(workspace: Workspace, text: string): void {
	const digest = join(workspace.root, 'IMAGE_DIGEST');
	for (const { spec } of (JSON.parse(text) as Items<TaskRun>).items) {
		const values = new Map(spec.params.map(({ name, value }) => [`$(params.${name})`, value]));
		values.set('$(results.IMAGE_DIGEST.path)/..', workspace.root);
		for (const { command, args } of spec.taskSpec.steps) {
			runJob(
				workspace,
				[...command, ...args].map((word) => values.get(word) ?? word),
			);
		}
		expect(readFileSync(digest, 'utf8')).toMatch(/^sha256:[0-9a-f]{64}$/);
	}
}

interface Names {
	readonly data: Readonly<Record<string, string>>;
}
interface Job {
	readonly spec: {
		readonly completions: number;
		readonly template: { readonly spec: { readonly containers: readonly [Container] } };
	};
}

function runKubernetes(workspace: Workspace, text: string): void {
	const [names, { spec }] = (JSON.parse(text) as { readonly items: readonly [Names, Job] }).items;
	const directory = join(workspace.root, 'fleet');
	mkdirSync(directory);
	for (const [name, content] of Object.entries(names.data)) writeFileSync(join(directory, name), content);
	const [{ command, args }] = spec.template.spec.containers;
	// Nothing is mounted at /fleet here.
	const words = [...command, ...args].map((word) => word.replace('"/fleet/', `"${directory}/`));
	for (let index = 0; index < spec.completions; index += 1) {
		runJob(workspace, words, { JOB_COMPLETION_INDEX: String(index) });
	}
}

const [IMAGES, BUILDERS] = [1000, 20];

/** Pushes builders that are indexes, and images of which every other was made from what its builder was. */
async function publishFleet({ host }: RealRegistry): Promise<void> {
	const registries = connect();
	const open = (path: string) => registries.open({ registry: host, path });
	const digests = await Promise.all(
		Array.from({ length: BUILDERS }, async (_, index) => {
			const builder = testImage({ config: { author: `builder ${index}` } });
			const repository = open(`builders/b${index}`);
			await writeImage(builder, repository, undefined, signal);
			const { mediaType, digest, size } = builder.image.manifest.descriptor;
			const entry = { mediaType, digest, size, platform: { os: 'linux', architecture: 'amd64' } };
			const member = { name: 'b', manifest: builder.image.manifest, config: builder.image.config };
			await repository.putManifest(makeIndex([member], {}), '1', signal);
			return entry.digest;
		}),
	);
	const left = Array.from({ length: IMAGES }, (_, index) => index);
	const work = async () => {
		for (let index = left.pop(); index !== undefined; index = left.pop()) {
			const name = index % BUILDERS;
			const digest = index < IMAGES / 2 ? digests[name] : digestOf(jsonBytes(index));
			const builder = `${host}/builders/b${name}:1`;
			const Labels = {
				'io.s2oci.build': JSON.stringify({ builder, source: `https://git.example/app-${index}` }),
				'io.s2oci.builder-digest': String(digest),
			};
			await writeImage(testImage({ config: { config: { Labels } } }), open('apps/app'), `v${index}`, signal);
		}
	};
	await Promise.all(Array.from({ length: 8 }, work));
}

test('1,000 images with 20 multi-platform builders take at most 2,040 requests and 200 MB', async (context) => {
	const [workspace, registry] = [makeWorkspace(), await startRealRegistry()];
	await publishFleet(registry);
	await delay(500);
	const before = registry.requests().length;
	const names = Array.from({ length: IMAGES }, (_, index) => `${registry.host}/apps/app:v${index}`);
	const list = join(workspace.root, 'images.txt');
	writeFileSync(list, names.join('\n'));
	const began = performance.now();
	const { child, finished } = startS2oci(workspace, ['fleet', 'plan', '--from', list, '--json']);
	let peak = 0;
	const sampling = setInterval(() => (peak = Math.max(peak, peakOf(child.pid ?? 0))), 20);
	const { status, stdout, stderr } = await finished;
	const seconds = (performance.now() - began) / 1000;
	clearInterval(sampling);
	await delay(500);
	const requests = registry.requests().length - before;
	await context.annotate(
		`fleet plan: ${IMAGES} images, ${requests} requests, ${seconds.toFixed(1)} s, ${(peak / 1e6).toFixed(0)} MB`,
	);
	expect(status, stderr).toBe(0);
	const states = statesOf(stdout);
	expect([states.filter((state) => state === 'fresh').length, states.length]).toEqual([IMAGES / 2, IMAGES]);
	expect(states.filter((state) => state === 'stale')).toHaveLength(IMAGES / 2);
	expect(requests).toBeGreaterThan(IMAGES);
	expect(requests).toBeLessThanOrEqual(2040);
	expect(peak).toBeGreaterThan(0);
	expect(peak).toBeLessThan(200e6);
});

/** The largest resident size of `pid` until now, in bytes (proc(5), VmHWM); 0 when it has ended. */
function peakOf(pid: number): number {
	try {
		return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
	} catch {
		return 0;
	}
}

test('manifests of a cluster and names come on standard input, and what is neither says what to do', async () => {
	const [workspace, registry] = [makeWorkspace(), await startRealRegistry()];
	await publishBuilder(registry, 'one');
	const [image = ''] = await buildApps(workspace, registry, 1);
	const pipe = (input: string, ...args: readonly string[]) => {
		const path = join(workspace.root, 'input');
		writeFileSync(path, input);
		const words = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(' ');
		return s2oci(workspace, [], { wrapper: ['sh', '-c', `exec ${words} < '${path}'`] });
	};
	const deployment = { kind: 'Deployment', spec: { template: { spec: { containers: [{ image }] } } } };
	const manifests = await pipe(JSON.stringify({ kind: 'List', items: [deployment] }), 'fleet', 'plan', '--json');
	expect(JSON.parse(manifests.stdout)).toMatchObject({ images: [{ image, state: 'fresh', rebuild: false }] });
	const names = await pipe(`# ours\n${image}\n$(reboot)\n`, 'fleet', 'plan');
	expect(names.stdout).toMatch(/^unknown {2}\$\(reboot\) .*\nfresh {4}127/);
	const tags = await s2oci(workspace, ['fleet', 'plan', '--repository', `${registry.host}/apps/app-0`]);
	expect(tags.stdout).toMatch(/^fresh {4}127.*app-0:1\n1 image: 0 stale, 1 fresh, 0 unknown\n$/);
	for (const [input, args, message] of [
		['kind: List\n', [], 'is YAML'],
		['', [], 'needs the images'],
		['', ['--json', '--for', 'github'], 'two forms'],
		['', ['x', '--for', 'gitlab'], 'needs --job-image'],
		['', ['x', '--for', 'helm'], '--for does not take "helm"'],
	] as const) {
		const refused = await pipe(input, 'fleet', 'plan', ...args);
		expect(refused.stderr).toMatch(/^error: [^]*\nhint: .+\n$/m);
		expect(`${String(refused.status)} ${refused.stderr}`).toMatch(/^2 /);
		expect(refused.stderr).toContain(message);
	}
});

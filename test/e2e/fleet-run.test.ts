import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { FleetOutcome } from '../../src/pipeline/fleet/run.js';
import { openRegistries } from '../../src/registry/registries.js';
import { build, s2oci, startS2oci } from '../support/build.js';
import { makeWorkspace, processesOf, until, type Workspace } from '../support/host.js';
import { testImage, writeImage } from '../support/images.js';
import { type RealRegistry, startRealRegistry } from '../support/real-registry.js';
import { assembleSource, tinyParts, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const APPS = 6;

async function publishBuilder({ host }: RealRegistry, version: string): Promise<void> {
	const registries = openRegistries({ env: {}, insecureRegistries: [], caBundle: undefined, userAgent: 's2oci/test' });
	onTestFinished(() => registries.close());
	const { tars, config } = tinyParts();
	const repository = registries.open({ registry: host, path: 'builders/tiny' });
	const image = testImage({ layers: tars, config: { ...config, author: version } });
	await writeImage(image, repository, '1', AbortSignal.timeout(60_000));
}

/** A fleet whose builder has moved on, and the directories of the sources. */
async function staleFleet(workspace: Workspace, script: string) {
	const registry = await startRealRegistry();
	await publishBuilder(registry, 'one');
	const sources: string[] = [];
	for (let index = 0; index < APPS; index += 1) {
		const source = assembleSource(script);
		sources.push(source);
		await build(workspace, [source, `${registry.host}/builders/tiny:1`, `${registry.host}/apps/app-${index}:1`]);
	}
	await publishBuilder(registry, 'two');
	const images = sources.map((_, index) => `${registry.host}/apps/app-${index}:1`);
	const list = join(workspace.root, 'images.txt');
	writeFileSync(list, images.join('\n'));
	const run = ['fleet', 'run', '--from', list];
	return { registry, sources, images, run };
}

function outcomesOf(stdout: string): readonly string[] {
	return (JSON.parse(stdout) as { images: readonly FleetOutcome[] }).images.map(({ outcome }) => outcome);
}

test('a run that was killed is finished by the next: nothing is pushed twice, and nothing is lost', async () => {
	const workspace = makeWorkspace();
	const { registry, images, run } = await staleFleet(workspace, 'sleep 1; echo done > made');
	await delay(500);
	const before = registry.requests().length;
	const first = startS2oci(workspace, [...run, '--jobs', '2']);
	await until('two rebuilt images', () => (first.stderr().match(/ is sha256:/g) ?? []).length >= 2, 60_000);
	first.child.kill('SIGKILL');
	expect((await first.finished).signal).toBe('SIGKILL');
	await until('the end of its processes', () => processesOf(workspace.mark).length === 0, 15_000);

	const second = await s2oci(workspace, [...run, '--jobs', '2', '--json']);
	expect(second.status, second.stderr).toBe(0);
	const outcomes = outcomesOf(second.stdout);
	const kept = outcomes.filter((outcome) => outcome === 'kept').length;
	expect(kept).toBeGreaterThanOrEqual(2);
	expect(outcomes.filter((outcome) => outcome === 'rebuilt')).toHaveLength(APPS - kept);
	expect(kept).toBeLessThan(APPS);
	await delay(500);
	const pushes = registry
		.requests()
		.slice(before)
		.filter((line) => /^PUT \/v2\/apps\/.*\/manifests\/1$/.test(line));
	const expected = images.map((_, index) => `PUT /v2/apps/app-${index}/manifests/1`);
	expect([...pushes].sort()).toEqual(expected);

	const third = await s2oci(workspace, run);
	expect(third.stdout).toBe(`${APPS} images: 0 rebuilt, 0 failed, 0 not begun, ${APPS} kept\n`);
});

test('an image that fails stops no other, and the run ends with a status of its own', async () => {
	const workspace = makeWorkspace();
	const { registry, sources, run, images } = await staleFleet(workspace, 'echo done > made');
	writeFileSync(join(sources[1] ?? '', '.s2i/bin/assemble'), '#!/bin/sh\necho the last word\nexit 7\n');
	const ran = await s2oci(workspace, [...run, `${registry.host}/apps/gone:1`, '--jobs', '3']);
	expect(ran.status, ran.stderr).toBe(6);
	expect(ran.stdout).toMatch(/^failed .*app-1:1 .*7.*$/m);
	expect(ran.stdout).toMatch(/^failed .*gone:1 .*HTTP 404.*$/m);
	expect(ran.stdout.trimEnd().split('\n').at(-1)).toBe('7 images: 5 rebuilt, 2 failed, 0 not begun, 0 kept');
	expect(ran.stderr).toContain(`${images[1] ?? ''}: the last word`);
	expect(ran.stderr).toMatch(/\[\d of 6\] 127\S+ is sha256:/);
	expect(ran.stderr).toMatch(/^error: 2 of 7 images failed\nhint: /m);
});

test('a canary that fails leaves all others as they are', async () => {
	const workspace = makeWorkspace();
	const { sources, run } = await staleFleet(workspace, 'echo done > made');
	writeFileSync(join(sources[0] ?? '', '.s2i/bin/assemble'), '#!/bin/sh\nexit 7\n');
	const ran = await s2oci(workspace, [...run, '--canary', '1', '--json']);
	expect(ran.status).toBe(6);
	expect(outcomesOf(ran.stdout)).toEqual(['failed', 'left', 'left', 'left', 'left', 'left']);
	expect(ran.stderr).toContain('error: 1 of 6 images failed, and 5 were not begun');
	writeFileSync(join(sources[0] ?? '', '.s2i/bin/assemble'), '#!/bin/sh\necho done > made\n');
	const again = await s2oci(workspace, [...run, '--canary', '1', '--json']);
	expect(outcomesOf(again.stdout), again.stderr).toEqual(Array.from({ length: APPS }, () => 'rebuilt'));
});

test('options of the other action are refused', async () => {
	const workspace = makeWorkspace();
	const refused = async (...args: readonly string[]) => {
		const { status, stderr } = await s2oci(workspace, ['fleet', ...args]);
		return `${String(status)} ${stderr}`;
	};
	expect(await refused('run', 'x', '--for', 'gitlab')).toMatch(/^2 error: s2oci fleet run does not take --for/);
	expect(await refused('run', 'x', '--max-parallel', '2')).toMatch(/here it is --jobs N/);
	expect(await refused('plan', 'x', '--jobs', '2')).toMatch(/^2 error: s2oci fleet plan does not take --jobs/);
});

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import { build, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import { leftovers, makeWorkspace } from '../support/host.js';
import { publishImage } from '../support/layers.js';
import { assembleSource, emptyRegistry, makeSource, TINY_APP, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

// Lines of the table of docs/s2i-compatibility.md that no other test proves.

test('#ref of a source is honoured, and --ref wins over it', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const source = makeSource({ 'greeting.txt': 'first\n' });
	const git = (...args: readonly string[]) =>
		execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org', ...args], { cwd: source });
	git('init', '-q', '-b', 'old');
	git('add', '-A');
	git('commit', '-q', '-m', 'First');
	for (const branch of ['new', 'main']) {
		git('checkout', '-q', '-b', branch);
		git('commit', '-q', '--allow-empty', '-m', branch);
	}
	const names = [`${registry.host}/builders/tiny`, `${registry.host}/team/app`];
	const told = await build(workspace, [`${source}#old`, ...names]);
	const overridden = await build(workspace, [`file://${source}#old`, ...names, '--ref', 'new']);
	expect([told.result.source, overridden.result.source]).toMatchObject([{ ref: 'old' }, { ref: 'new' }]);
});

test('stderr that reads as if tar were missing is no reason to run assemble again', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const counted = join(workspace.home, 'counted');
	mkdirSync(counted);
	chmodSync(counted, 0o777);
	const script = 'echo ran >> /counted/runs; echo "start script not found; sh: tar: not found" >&2; exit 7';
	const args = ['build', assembleSource(script), `${registry.host}/builders/tiny`, '--volume', `${counted}:/counted`];
	const { status, stderr } = await s2oci(workspace, args);
	expect(status).toBe(1);
	expect(stderr).toContain('ended with status 7');
	expect(readFileSync(join(counted, 'runs'), 'utf8')).toBe('ran\n');
});

test.each(['never', 'if-not-present'])('a registry is not asked with %s for what the store has', async (policy) => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const args = [TINY_APP, `${registry.host}/builders/tiny`, '--copy'];
	const first = await build(workspace, args);
	const asked = registry.requests.length;
	const second = await build(workspace, [...args, '--pull-policy', policy]);
	expect(registry.requests.length).toBe(asked);
	expect(second.result.layer?.diffId).toBe(first.result.layer?.diffId);
});

test('never fails before anything else when the store does not have the builder', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const args = ['build', TINY_APP, `${registry.host}/builders/tiny`, '--copy', '--pull-policy', 'never'];
	const { status, stderr } = await s2oci(workspace, args);
	expect(status).toBe(3);
	expect(stderr).toMatch(/^hint: .*pull policy/m);
	expect(registry.requests).toEqual([]);
});

test('the builder is recorded by the name that was given, and by its digest', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const builder = `${registry.host}/builders/tiny`;
	await build(workspace, [TINY_APP, builder, `${registry.host}/team/app`, '--copy']);
	const { config, manifest } = await pulled(registry, 'team/app');
	const digest = digestOf(registry.manifests.get('builders/tiny:latest')?.bytes ?? new Uint8Array());
	expect(config.config.Labels['io.openshift.s2i.build.image']).toBe(`${builder}:latest`);
	expect(JSON.stringify(config.config.Labels)).toContain(digest);
	expect(manifest.annotations).toMatchObject({ 'org.opencontainers.image.base.digest': digest });
});

test('allowed uids count for the runtime image, too', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const runtime = publishImage(registry, 'runtime', { config: { User: '0' } });
	const options = ['--runtime-image', runtime, '-a', '/opt/app-root/src/kept', '--allowed-uids', '1-'];
	const source = makeSource({ '.s2i/bin/assemble-runtime': '#!/bin/sh\n' });
	const args = ['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, ...options];
	const { status, stderr, result } = await s2oci(workspace, args);
	expect([status, result?.error?.code]).toEqual([3, 'IMAGE_USER_NOT_ALLOWED']);
	expect(stderr).toContain('USER of the runtime image "0"');
});

test('ONBUILD that fails is a failure, though the tag has an image already', async () => {
	const [workspace, registry] = [makeWorkspace(), await emptyRegistry()];
	const good = publishImage(registry, 'good', { config: { OnBuild: ['RUN true'] } });
	const bad = publishImage(registry, 'bad', { config: { OnBuild: ['RUN exit 9'] } });
	const tag = `${registry.host}/team/app`;
	await build(workspace, [TINY_APP, good, tag, '--copy']);
	const before = registry.manifests.get('team/app:latest');
	const { status, stdout } = await s2oci(workspace, ['build', TINY_APP, bad, tag, '--copy']);
	expect([status, stdout]).toEqual([1, '']);
	expect(registry.manifests.get('team/app:latest')).toBe(before);
});

test('a source whose name begins the name of the store is no source that holds the store', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const source = join(workspace.root, 'sto');
	cpSync(TINY_APP, source, { recursive: true });
	expect(workspace.store.startsWith(source)).toBe(true);
	await build(workspace, [source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy']);
	expect((await pulled(registry, 'team/app')).entries.has('opt/app-root/src/greeting.txt')).toBe(true);
	expect(await leftovers(workspace)).toEqual([]);
});

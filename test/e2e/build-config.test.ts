import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import { leftovers, makeWorkspace, requireUser, type UserName } from '../support/host.js';
import { assembleSource, TINY_APP, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const CANARY = 'canary-2c77';

function buildConfig(host: string, more: object): object {
	const sourceStrategy = {
		from: { kind: 'ImageStreamTag', name: 'tiny:latest' },
		env: [{ name: 'TINY_COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } }],
		volumes: [
			{
				name: 'cert',
				source: { type: 'Secret', secret: { secretName: 'token' } },
				mounts: [{ destinationPath: '/opt/certs' }],
			},
		],
	};
	const source = {
		binary: {},
		secrets: [{ secret: { name: 'token' }, destinationDir: 'keys' }],
		configMaps: [{ configMap: { name: 'settings' }, destinationDir: 'conf' }],
	};
	const output = {
		to: { kind: 'DockerImage', name: `${host}/team/app:1` },
		imageLabels: [{ name: 'team', value: 'shop' }],
	};
	const spec = { source, strategy: { sourceStrategy }, output, triggers: [], ...more };
	return { apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'app' }, spec };
}

function objects(host: string, more: object = {}): string {
	const token = { kind: 'Secret', metadata: { name: 'token' }, stringData: { value: CANARY } };
	const settings = { kind: 'ConfigMap', metadata: { name: 'settings' }, data: { colour: 'green' } };
	return JSON.stringify({ kind: 'List', items: [buildConfig(host, more), token, settings] });
}

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('a BuildConfig, built by %s', (name) => {
	test('shows Secrets to assemble only, and puts ConfigMaps into the source', async (context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const registry = await tinyRegistry();
		const file = join(workspace.home, 'app.json');
		writeFileSync(file, objects(registry.host));
		const source = assembleSource(`
			[ "$(cat keys/value)" = ${CANARY} ] && [ "$(cat /opt/certs/value)" = ${CANARY} ] && echo secrets-delivered
			cp /tmp/src/conf/colour "$TINY_COLOUR"
		`);
		const line = [source, '--build-config', file, '--image-stream', `tiny=${registry.host}/builders/tiny`];
		const { stdout, stderr, result } = await build(workspace, line);
		expect(stderr).toContain('secrets-delivered');
		expect(stderr).toContain('spec.triggers is ignored');
		expect(stdout + stderr + JSON.stringify(result)).not.toContain(CANARY);
		const image = await pulled(registry, 'team/app', '1');
		expect(image.config.config.Env).toContain('TINY_COLOUR=green');
		expect(image.config.config.Labels).toMatchObject({ team: 'shop' });
		expect([...image.entries.keys()].filter((path) => /keys|certs/.test(path))).toEqual([]);
		expect(await leftovers(workspace)).toEqual([]);
	});
});

test.each([
	[{ script: 'test -f "$1"', args: ['/no-such-file'] }, 7],
	[{ command: ['/bin/sh', '-c', 'test "$TINY_COLOUR" = green'] }, 0],
])('postCommit %j decides whether the image is pushed', async (postCommit, wanted) => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const file = join(workspace.home, 'app.json');
	writeFileSync(file, objects(registry.host, { postCommit }));
	const line = ['build', TINY_APP, '--build-config', file, '--image-stream', `tiny=${registry.host}/builders/tiny`];
	expect((await s2oci(workspace, line)).status).toBe(wanted);
	expect(registry.manifests.has('team/app:1')).toBe(wanted === 0);
});

test('a ConfigMap is written through no link of the source', async () => {
	const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
	const outside = join(workspace.home, 'outside');
	mkdirSync(outside);
	const source = assembleSource('true');
	symlinkSync(outside, join(source, 'conf'));
	const file = join(workspace.home, 'app.json');
	writeFileSync(file, objects(registry.host));
	const stream = `tiny=${registry.host}/builders/tiny`;
	const failed = await s2oci(workspace, [
		'build',
		source,
		'--keep-symlinks',
		'--build-config',
		file,
		'--image-stream',
		stream,
	]);
	expect(failed.stderr).toContain('"conf" is in the way');
	expect(failed.status).toBe(5);
});

test('what it has of Secrets is in no Dockerfile', async () => {
	const workspace = makeWorkspace();
	const file = join(workspace.home, 'app.json');
	writeFileSync(file, objects('reg.example'));
	const stream = 'tiny=reg.example/tiny';
	const line = [
		'build',
		TINY_APP,
		'--build-config',
		file,
		'--image-stream',
		stream,
		'--as-dockerfile',
		`${workspace.home}/D`,
	];
	const { status, stderr } = await s2oci(workspace, line);
	expect(stderr).toContain('--as-dockerfile and Secrets and ConfigMaps of --build-config exclude each other');
	expect(status).toBe(2);
});

import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { layerMediaType } from '../../src/oci/media-types.js';
import { type Finished, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import { publishFixture } from '../support/fixtures.js';
import { leftovers, makeWorkspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import {
	assembleSource,
	encodeImage,
	makeSource,
	publish,
	TINY_APP,
	tinyParts,
	tinyRegistry,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

const builder = ({ host }: TestRegistry) => `${host}/builders/tiny`;

/** Runs the program under the name `s2i`; it leaves nothing behind, however it ends. */
async function s2i(args: readonly string[]): Promise<Finished> {
	const workspace = makeWorkspace();
	const finished = await s2oci(workspace, args, { env: { S2OCI_NAME: 's2i' } });
	expect(await leftovers(workspace)).toEqual([]);
	return finished;
}

function emptyRepository(): string {
	const source = makeSource({ 'a.txt': 'a' });
	execFileSync('git', ['init', '-q', source]);
	return source;
}

/** The tiny builder whose image says that scripts are where none are. */
function withoutScripts(registry: TestRegistry): string {
	const { tars, config } = tinyParts();
	const Labels = { 'io.openshift.s2i.scripts-url': 'image:///nowhere' };
	const gzip = (tar: Uint8Array) => ({ mediaType: layerMediaType('oci', 'gzip'), bytes: gzipSync(tar) });
	const image = encodeImage({ tars, config: { ...config, config: { ...config.config, Labels } } }, gzip);
	publish(registry, image, 'builders/bare');
	return `${registry.host}/builders/bare`;
}

describe('the exit status of s2i', () => {
	const cases: readonly (readonly [string, number, number, (registry: TestRegistry) => readonly string[]])[] = [
		['a failed assemble', 1, 1, (registry) => ['build', assembleSource('exit 9'), builder(registry)]],
		['arguments that make no sense', 1, 2, (registry) => ['build', TINY_APP, builder(registry), '-p', 'sometimes']],
		['a source that is not there', 1, 5, (registry) => ['build', '/no/such/source', builder(registry)]],
		['an image that is not there', 2, 3, ({ host }) => ['build', TINY_APP, `${host}/no/such/image`, '-c']],
		['a missing script', 11, 1, (registry) => ['build', TINY_APP, withoutScripts(registry), '-c']],
		['a refused user', 15, 3, (registry) => ['build', TINY_APP, builder(registry), '-c', '-u', '5000-']],
		['an empty git repository', 16, 5, (registry) => ['build', emptyRepository(), builder(registry)]],
		['a usage that is not there', 11, 1, (registry) => ['usage', withoutScripts(registry)]],
	];

	test.each(cases)('for %s is %i, where s2oci ends with %i', async (_what, asS2i, asS2oci, line) => {
		const registry = await tinyRegistry();
		const { status, stdout, stderr } = await s2i(line(registry));
		expect({ status, stdout }).toEqual({ status: asS2i, stdout: '' });
		expect(stderr).toMatch(/^error: .*\n(?:.*\n)*hint: .*\n$/m);
		expect((await s2oci(makeWorkspace(), line(registry))).status).toBe(asS2oci);
	});

	test('is 1 for a program of --run and for a usage that fail, whatever their own is', async () => {
		const registry = await tinyRegistry();
		const source = makeSource({ '.s2i/bin/run': '#!/bin/sh\nexit 3\n', 'a.txt': 'a' });
		const ran = await s2i(['build', source, builder(registry), `${registry.host}/test/app`, '--run']);
		expect(ran.status).toBe(1);
		const scripts = makeSource({ usage: '#!/bin/sh\necho used\nexit 7\n' });
		const used = await s2i(['usage', builder(registry), '-s', `file://${scripts}`]);
		expect({ status: used.status, stdout: used.stdout }).toEqual({ status: 1, stdout: 'used\n' });
	});
});

describe('what s2i prints', () => {
	test('says on stderr that the build was completed, at every loglevel and with --quiet', async () => {
		const registry = await tinyRegistry();
		const line = ['build', TINY_APP, builder(registry), '-c'];
		for (const options of [['--loglevel=0'], ['-q'], ['--loglevel=5']]) {
			const { status, stdout, stderr } = await s2i([...line, ...options]);
			expect(status).toBe(0);
			expect(stderr).toMatch(/^Build completed successfully$/m);
			expect(stdout).toMatch(/^(?:\S+@)?sha256:[0-9a-f]{64}\n$/);
		}
		const failed = await s2i(['build', assembleSource('exit 9'), builder(registry), '-q']);
		expect(failed.stderr).toMatch(/^Build failed$/m);
		expect((await s2oci(makeWorkspace(), line)).stderr).not.toContain('Build completed');
	});

	test('warns of what has no effect, and builds all the same', async () => {
		const registry = await tinyRegistry();
		const daemon = ['-U', 'tcp://127.0.0.1:9', '--tlsverify', '--cert=/no/such/cert'];
		const line = ['build', TINY_APP, builder(registry), '--copy', '-p', 'never', '-p', 'always', ...daemon];
		const { status, stderr } = await s2i(line);
		expect(status).toBe(0);
		for (const name of [
			'-U has no effect',
			'--tlsverify has no effect',
			'--cert has no effect',
			'--pull-policy is given',
		]) {
			expect(stderr).toMatch(new RegExp(`^warning: ${name}`, 'm'));
		}
	});

	test('is the usage of a builder, whatever build options are given with it', async () => {
		const registry = await tinyRegistry();
		const image = publishFixture(registry, 'sti-fake-scripts');
		const shared = ['--incremental', '--rm', '--save-temp-dir', '--callback-url', 'http://127.0.0.1:9/', '-l', '/tmp'];
		const { status, stdout } = await s2i(['--loglevel', '2', 'usage', image, ...shared]);
		expect(status).toBe(0);
		expect(stdout).toContain('Sample invocation:\n');
	});
});

describe('io.k8s.display-name', () => {
	const NAME = 'io.k8s.display-name';

	test('is the tag as it was typed, and --application-name instead of it', async () => {
		const registry = await tinyRegistry();
		const labels = async (tag: string, ...options: readonly string[]) => {
			const { status } = await s2i(['build', TINY_APP, builder(registry), `${registry.host}/${tag}`, '-c', ...options]);
			expect(status).toBe(0);
			const [name = '', version] = tag.split(':');
			return (await pulled(registry, name, version)).config.config.Labels;
		};
		expect((await labels('team/app'))[NAME]).toBe(`${registry.host}/team/app`);
		expect((await labels('team/app:1.2'))[NAME]).toBe(`${registry.host}/team/app:1.2`);
		expect((await labels('team/app', '-n', 'The shop'))[NAME]).toBe('The shop');
		const described = await labels('team/app', '--description', 'Sells');
		expect(described['io.k8s.description']).toBe('Sells');
	});
});

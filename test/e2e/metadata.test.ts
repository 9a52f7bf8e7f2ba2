import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { layerMediaType } from '../../src/oci/media-types.js';
import { build, type RunOptions, s2oci } from '../support/build.js';
import { type BuiltImage, pulled } from '../support/built.js';
import { makeWorkspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import {
	assembleSource,
	emptyRegistry,
	encodeImage,
	publish,
	tinyParts,
	tinyRegistry,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

const HOME = 'opt/app-root/src';

/** The image that `source` gives with `args`. */
async function built(
	source: string,
	args: readonly string[],
	{ registry, ...options }: Pick<RunOptions, 'env' | 'wrapper'> & { readonly registry?: TestRegistry } = {},
): Promise<BuiltImage> {
	const from = registry ?? (await tinyRegistry());
	const words = [source, `${from.host}/builders/tiny`, `${from.host}/team/app`, ...args];
	await build(makeWorkspace(), words, options);
	return pulled(from, 'team/app');
}

/** A file that assemble made in its working directory. */
function text(image: BuiltImage, name: string): string | undefined {
	return image.entries.get(`${HOME}/${name}`)?.content;
}

function writeMetadata(json: string): string {
	return `mkdir -p /tmp/.s2i && echo '${json}' > /tmp/.s2i/image_metadata.json`;
}

describe('labels', () => {
	test('of the builder lose to those of the build, those to --label, those to image_metadata.json', async () => {
		const source = assembleSource(writeMetadata('{"labels":[{"b":"metadata"},{"c":"metadata"}]}'));
		const labels = ['a=option', 'b=option', 'io.openshift.tags=option'].flatMap((label) => ['--label', label]);
		const args = ['-n', 'shop', '--description', 'The shop', ...labels];
		const image = await built(source, args);
		expect(image.config.config.Labels).toMatchObject({
			a: 'option',
			b: 'metadata',
			c: 'metadata',
			'io.k8s.display-name': 'shop',
			'io.k8s.description': 'The shop',
			'io.openshift.tags': 'option',
			'io.openshift.expose-services': '8080:http',
		});
	});

	test('name the tag and keep the description of the builder when nothing else is said', async () => {
		const { Labels } = (await built(assembleSource('true'), [])).config.config;
		expect(Labels['io.k8s.display-name']).toMatch(/\/team\/app$/);
		expect(Labels['io.k8s.description']).toBe('Copies files, for tests');
	});

	test('that say how the image was built are not taken from assemble, and a warning says so', async () => {
		const forged = '{"labels":[{"io.s2oci.build":"{}"},{"io.openshift.s2i.build.source-location":"/etc"}]}';
		const registry = await tinyRegistry();
		const source = assembleSource(writeMetadata(forged));
		const args = [source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
		const made = await s2oci(makeWorkspace(), ['build', ...args]);
		expect(made.status).toBe(0);
		expect(made.stderr).toContain('labels that only the build itself writes; they are left out: "io.s2oci.build"');
		const { Labels } = (await pulled(registry, 'team/app')).config.config;
		expect(Labels['io.openshift.s2i.build.source-location']).toBe(source);
		expect(JSON.parse(Labels['io.s2oci.build'] ?? '')).toMatchObject({ source });
	});

	test('above 10 KiB fail the build, and nothing is pushed', async () => {
		const registry = await tinyRegistry();
		const args = [assembleSource('true'), `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
		const failed = await s2oci(makeWorkspace(), ['build', ...args, '--label', `big=${'x'.repeat(11_000)}`]);
		expect(failed.status).toBe(3);
		expect(failed.stderr).toContain('S2I allows 10240');
		expect(registry.manifests.has('team/app:latest')).toBe(false);
	});

	test('say how to build the image again, without a value of a variable or a credential', async () => {
		const args = ['-e', 'A=one', '--build-env', 'TOKEN=hunter2', '--label', 'x=y', '--destination', '/tmp'];
		const image = await built(assembleSource('true'), args);
		const again = image.config.config.Labels['io.s2oci.build'] ?? '';
		expect(JSON.parse(again)).toMatchObject({ environment: ['A'], labels: ['x'], destination: '/tmp' });
		expect(JSON.stringify(image.config)).not.toContain('hunter2');
	});
});

describe('the environment', () => {
	test('is that of the source, then -e, then -E, in assemble and in the image', async () => {
		const source = assembleSource('env > env', { '.s2i/environment': 'A=source\nB=source\nC=source\n' });
		const file = join(makeWorkspace().root, 'env.txt');
		writeFileSync(file, '# no\n  // no\nC=file\n');
		const image = await built(source, ['-e', 'B=option', '-e', 'C=option', '-E', file]);
		const wanted = ['A=source', 'B=option', 'C=file'];
		expect(image.config.config.Env.slice(-3)).toEqual(wanted);
		expect(text(image, 'env')?.split('\n')).toEqual(expect.arrayContaining(wanted));
	});

	test('of --build-env and the proxies of the job are for assemble only', async () => {
		const source = assembleSource('case $TOKEN in hunter?) ;; *) exit 1 ;; esac; test "$A" = build');
		const env = { HTTP_PROXY: 'http://user:hunter2@127.0.0.1:9', NO_PROXY: '127.0.0.1' };
		const args = ['--build-env', 'TOKEN=hunter2', '-e', 'A=image', '--build-env', 'A=build'];
		const image = await built(source, args, { env });
		expect(image.config.config.Env).toContain('A=image');
		expect(JSON.stringify([image.config, image.manifest, [...image.entries]])).not.toMatch(/hunter2|PROXY/);
	});

	test('of a pipe that a shell made is read once, for assemble, image and label', async () => {
		const wrapper = ['bash', '-c', `exec "$@" -E <(echo C=pipe; sleep 0.1; echo D=late)`, 'bash'];
		const image = await built(assembleSource('env > env'), ['-e', 'C=option'], { wrapper });
		expect(image.config.config.Env.slice(-2)).toEqual(['C=pipe', 'D=late']);
		expect(text(image, 'env')?.split('\n')).toEqual(expect.arrayContaining(['C=pipe', 'D=late']));
		const again = image.config.config.Labels['io.s2oci.build'] ?? '';
		expect(JSON.parse(again)).toMatchObject({ environment: ['C', 'D'] });
	});

	test('of standard input that is the source, too, is a usage error', async () => {
		const wrapper = ['bash', '-c', 'echo A=1 | "$@"', 'bash'];
		const failed = await s2oci(makeWorkspace(), ['build', '-', 'registry.invalid/x', '-E', '/dev/stdin'], { wrapper });
		expect(failed.status).toBe(2);
		expect(failed.stderr).toContain('are both standard input');
	});

	test('a file of -E that cannot be read is a usage error', async () => {
		const words = ['build', assembleSource('true'), 'registry.invalid/x', '-E', '/nonexistent/env'];
		const failed = await s2oci(makeWorkspace(), words);
		expect(failed.status).toBe(2);
		expect(failed.stderr).toContain('/nonexistent/env');
	});
});

test('everything else of the config is the builder’s; ONBUILD is dropped', async () => {
	const registry = await emptyRegistry();
	const { tars, config } = tinyParts();
	const kept = {
		StopSignal: 'SIGQUIT',
		Healthcheck: { Test: ['CMD', 'true'] },
		Shell: ['/bin/sh', '-c'],
		ExposedPorts: { '9/udp': {} },
		Entrypoint: ['/usr/bin/env'],
		Volumes: { '/data': {} },
	};
	const changed = { ...config, config: { ...config.config, ...kept, OnBuild: ['RUN true'] } };
	const gzip = (tar: Uint8Array) => ({ mediaType: layerMediaType('oci', 'gzip'), bytes: gzipSync(tar) });
	publish(registry, encodeImage({ tars, config: changed }, gzip));
	const image = await built(assembleSource('true'), [], { registry });
	expect(image.config.config).toMatchObject({ ...kept, Cmd: ['/usr/libexec/s2i/run'], User: '1001' });
	expect(image.config.config).not.toHaveProperty('OnBuild');
});

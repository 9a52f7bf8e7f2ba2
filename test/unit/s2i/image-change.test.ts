import { expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import type { ContainerConfig } from '../../../src/oci/image.js';
import { type ImageChangeInput, imageChange } from '../../../src/s2i/image-change.js';
import { parseMetadata } from '../../../src/s2i/metadata.js';

const digest = digestOf(new Uint8Array());
const input: ImageChangeInput = {
	runPath: '/usr/libexec/s2i/run',
	environment: [
		{ name: 'NODE_ENV', value: 'test' },
		{ name: 'NEW', value: '1' },
	],
	labels: { 'org.example.port': '8080', 'io.k8s.display-name': 'from metadata' },
	source: {
		location: 'https://example.org/app.git',
		contextDir: 'web',
		commit: 'c0ffee',
		ref: 'main',
		author: 'Ada <ada@example.org>',
		date: '2024-05-06T07:08:09+02:00',
		message: 'First',
		epoch: 1714972090,
		ignoredScripts: [],
	},
	builder: { name: 'quay.io/sclorg/nodejs-22-c9s:latest', digest },
	displayName: 'reg.example/app:1',
};
const base: ContainerConfig & { readonly ExposedPorts: object } = {
	User: '1001',
	Env: ['PATH=/bin', 'NODE_ENV=production', 'LAST=x'],
	Entrypoint: ['container-entrypoint'],
	Cmd: ['base-usage'],
	WorkingDir: '/opt/app-root/src',
	Labels: { 'io.k8s.description': 'inherited', 'io.openshift.s2i.build.commit.id': 'old' },
	OnBuild: ['RUN x'],
	ExposedPorts: { '8080/tcp': {} },
};

test('the config is the builder config with CMD, ENV and labels changed and ONBUILD dropped', () => {
	expect(imageChange(input).config(base)).toEqual({
		User: '1001',
		Env: ['PATH=/bin', 'NODE_ENV=test', 'LAST=x', 'NEW=1'],
		Entrypoint: ['container-entrypoint'],
		Cmd: ['/usr/libexec/s2i/run'],
		WorkingDir: '/opt/app-root/src',
		Labels: {
			'io.k8s.description': 'inherited',
			'io.k8s.display-name': 'from metadata',
			'io.openshift.s2i.build.image': 'quay.io/sclorg/nodejs-22-c9s:latest',
			'io.openshift.s2i.build.commit.author': 'Ada <ada@example.org>',
			'io.openshift.s2i.build.commit.date': '2024-05-06T07:08:09+02:00',
			'io.openshift.s2i.build.commit.id': 'c0ffee',
			'io.openshift.s2i.build.commit.ref': 'main',
			'io.openshift.s2i.build.commit.message': 'First',
			'io.openshift.s2i.build.source-location': 'https://example.org/app.git',
			'io.openshift.s2i.build.source-context-dir': 'web',
			'io.s2oci.builder-digest': digest,
			'org.example.port': '8080',
		},
		ExposedPorts: { '8080/tcp': {} },
	});
});

test('what Docker made of the base is kept, ONBUILD is not', () => {
	const kept = {
		Healthcheck: { Test: ['CMD', 'true'] },
		StopSignal: 'SIGQUIT',
		Shell: ['/bin/bash', '-c'],
		Volumes: { '/data': {} },
		Unknown: 1,
	};
	const config = imageChange(input).config({ ...kept, OnBuild: ['USER 0'], Entrypoint: null });
	expect(config).toMatchObject({ ...kept, Entrypoint: null, Cmd: ['/usr/libexec/s2i/run'] });
	expect(config).not.toHaveProperty('OnBuild');
});

test('an image without USER stays without', () => {
	expect(imageChange(input).config({})).not.toHaveProperty('User');
	expect(imageChange(input).config({ User: '' })).toMatchObject({ User: '' });
});

test('dates, history and annotations depend on the inputs only', () => {
	const { created, history, annotations } = imageChange(input);
	expect(created).toBe('2024-05-06T05:08:10Z');
	expect(history).toEqual({
		created,
		created_by: `s2oci build quay.io/sclorg/nodejs-22-c9s:latest@${digest}`,
		comment: 's2i assemble',
	});
	expect(annotations).toEqual({
		'org.opencontainers.image.base.name': 'quay.io/sclorg/nodejs-22-c9s:latest',
		'org.opencontainers.image.base.digest': digest,
		'org.opencontainers.image.created': created,
		'org.opencontainers.image.source': 'https://example.org/app.git',
		'org.opencontainers.image.revision': 'c0ffee',
	});
});

test('a local source leaves out what it does not know', () => {
	const change = imageChange({
		...input,
		labels: {},
		source: { location: '/builds/app', epoch: 0, ignoredScripts: [] },
		displayName: undefined,
	});
	expect(change.config({}).Labels).toEqual({
		'io.openshift.s2i.build.image': 'quay.io/sclorg/nodejs-22-c9s:latest',
		'io.openshift.s2i.build.source-location': '/builds/app',
		'io.s2oci.builder-digest': digest,
	});
	expect(change.created).toBe('1970-01-01T00:00:00Z');
	expect(change.annotations).not.toHaveProperty('org.opencontainers.image.source');
});

test('labels above 10 KiB are refused, and the largest is named', () => {
	const change = imageChange({ ...input, labels: { big: '\u20ac'.repeat(3400) } });
	expect(() => change.config({})).toThrow(
		expect.objectContaining({
			code: 'IMAGE_INVALID',
			hint: 'Shorten the labels of --label, image_metadata.json or the builder image; the largest is "big".',
		}) as Error,
	);
});

test('labels of the base lose to generated ones, those to --label, those to image_metadata.json', () => {
	const inherited = Object.fromEntries(
		['a', 'b', 'io.k8s.description', 'io.k8s.display-name'].map((name) => [name, 'base']),
	);
	const change = imageChange({
		...input,
		description: 'of the option',
		optionLabels: [
			{ name: 'io.k8s.display-name', value: 'of a label' },
			{ name: 'b', value: 'first' },
			{ name: 'b', value: 'of a label' },
			{ name: 'c', value: 'of a label' },
		],
		labels: { c: 'metadata' },
	});
	expect(change.config({ Labels: inherited }).Labels).toMatchObject({
		a: 'base',
		b: 'of a label',
		c: 'metadata',
		'io.k8s.description': 'of the option',
		'io.k8s.display-name': 'of a label',
	});
});

test('what image_metadata.json says of how the image was built is left out', () => {
	const forged = ['io.s2oci.build', 'io.s2oci.builder-digest', 'io.openshift.s2i.build.source-location'];
	const labels = { ...Object.fromEntries(forged.map((name) => [name, 'forged'])), other: 'kept' };
	const made = imageChange({ ...input, labels }).config({}).Labels ?? {};
	const honest = imageChange({ ...input, labels: { other: 'kept' } }).config({}).Labels;
	expect(made).toEqual(honest);
});

test('what an earlier build said of its own source is not inherited', () => {
	const source = { location: 'https://example.org/app.git', epoch: 0, ignoredScripts: [] };
	const Labels = {
		'io.openshift.s2i.build.commit.id': 'old',
		'io.openshift.s2i.build.commit.author': 'old',
		'io.s2oci.build': '{"builder":"old"}',
		'io.openshift.s2i.scripts-url': 'image:///s2i',
	};
	const labels = imageChange({ ...input, source }).config({ Labels }).Labels;
	expect(JSON.stringify(labels)).not.toContain('old');
	expect(labels).toMatchObject({ 'io.openshift.s2i.scripts-url': 'image:///s2i' });
});

test('credentials in the location of the source are in no label and no annotation', () => {
	const location = 'https://user:hunter2@example.org/app.git?token=hunter2#hunter2';
	const change = imageChange({ ...input, source: { ...input.source, location } });
	expect(JSON.stringify([change, change.config({})])).not.toMatch(/hunter2|user/);
	expect(change.config({}).Labels).toMatchObject({
		'io.openshift.s2i.build.source-location': 'https://example.org/app.git',
	});
});

test('a runtime image is the base that the annotations name; the labels still name the builder', () => {
	const change = imageChange({ ...input, base: { name: 'docker.io/library/runtime:1', digest } });
	expect(change.annotations).toMatchObject({ 'org.opencontainers.image.base.name': 'docker.io/library/runtime:1' });
	expect(change.config({}).Labels).toMatchObject({ 'io.openshift.s2i.build.image': input.builder.name });
});

test('image_metadata.json becomes labels, later ones win', () => {
	expect(parseMetadata('{"labels": [{"a": "1", "b": "2"}, {"a": "3"}], "other": 1}')).toEqual({ a: '3', b: '2' });
});

test.each([
	['', 'is not JSON'],
	['{"labels": {"a": "1"}}', 'has the wrong shape at "labels"'],
	['{}', 'has the wrong shape at "labels"'],
	['null', 'has the wrong shape at "the top"'],
	['{"labels": [{"a": 1}]}', 'has the wrong shape at "labels.0.a"'],
	['x'.repeat(300_000), 'is longer than 256 KiB'],
])('a wrong image_metadata.json is told what is wrong (%#)', (text, problem) => {
	expect(() => parseMetadata(text)).toThrow(
		expect.objectContaining({
			code: 'IMAGE_INVALID',
			message: `/tmp/.s2i/image_metadata.json, which assemble wrote, ${problem}`,
		}) as Error,
	);
});

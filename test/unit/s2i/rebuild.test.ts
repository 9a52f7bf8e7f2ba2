import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/digest.js';
import { imageChange } from '../../../src/s2i/image-change.js';
import { withoutCredentials } from '../../../src/s2i/labels.js';
import {
	decodeRebuild,
	encodeRebuild,
	REBUILD_LABEL,
	type RebuildInputs,
	refuseLocalAddresses,
} from '../../../src/s2i/rebuild.js';

const commit = 'c0ffee'.repeat(6) + 'beef';
const least: RebuildInputs = {
	builder: 'quay.io/sclorg/nodejs-22-c9s:latest',
	source: 'https://example.org/app.git',
	commit: undefined,
	contextDir: undefined,
	copy: false,
	keepSymlinks: false,
	ignoreSubmodules: false,
	exclude: undefined,
	environment: [],
	labels: [],
	scriptsUrl: undefined,
	destination: undefined,
	assembleUser: undefined,
	applicationName: undefined,
	description: undefined,
	runtime: undefined,
};
const most: RebuildInputs = {
	...least,
	commit,
	contextDir: 'web',
	copy: true,
	keepSymlinks: true,
	ignoreSubmodules: true,
	exclude: '',
	environment: [
		{ name: 'A', value: 'one' },
		{ name: 'B', value: '' },
	],
	labels: [{ name: 'org.example', value: 'x' }],
	scriptsUrl: 'image:///opt/s2i',
	destination: '/opt/s2i',
	assembleUser: '0',
	applicationName: 'shop',
	description: 'The shop',
	runtime: { image: 'docker.io/library/r:1', artifacts: [{ source: '/opt/app', destination: '' }], user: '5' },
};

/** What an image of `inputs` says: its labels and its ENV. */
function read(inputs: RebuildInputs): RebuildInputs {
	const labels = Object.fromEntries(inputs.labels.map(({ name, value }) => [name, value]));
	const env = inputs.environment.map(({ name, value }) => `${name}=${value}`);
	return decodeRebuild(
		{ ...labels, [REBUILD_LABEL]: encodeRebuild(inputs) },
		['PATH=/bin', ...env],
		'reg.example/app:1',
	);
}

describe('what an image remembers of its build', () => {
	test.each([least, most])('is what the build was told (%#)', (inputs) => {
		expect(read(inputs)).toEqual(inputs);
	});

	test('is what the build was told, whatever that was', () => {
		const text = fc.string({ minLength: 1 });
		const variables = fc.uniqueArray(fc.record({ name: fc.stringMatching(/^[a-z]{1,5}$/), value: fc.string() }), {
			selector: ({ name }) => name,
		});
		fc.assert(
			fc.property(variables, variables, text, text, fc.boolean(), (environment, labels, description, exclude, copy) => {
				const inputs = { ...least, environment, labels, description, exclude, copy };
				const again = read(inputs);
				const sorted = (list: RebuildInputs['labels']) => [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
				expect({ ...again, labels: sorted(again.labels) }).toEqual({ ...inputs, labels: sorted(labels) });
			}),
		);
	});

	test('has only what was set, in one order, and no values of variables', () => {
		expect(encodeRebuild(least)).toBe(
			'{"builder":"quay.io/sclorg/nodejs-22-c9s:latest","source":"https://example.org/app.git"}',
		);
		const environment = [
			{ name: 'TOKEN', value: 'hunter2' },
			{ name: 'A', value: '1' },
			{ name: 'A', value: '2' },
		];
		expect(JSON.parse(encodeRebuild({ ...least, environment }))).toMatchObject({ environment: ['A', 'TOKEN'] });
	});

	test('has no credentials', () => {
		const inputs = {
			...least,
			source: 'https://user:hunter2@example.org/app.git',
			scriptsUrl: 'https://hunter2@example.org/s2i?token=hunter2',
		};
		expect(encodeRebuild(inputs)).not.toContain('hunter2');
		expect(read(inputs)).toMatchObject({ scriptsUrl: 'https://example.org/s2i' });
	});

	test('takes values from what the image has now: a variable or label that is gone is not invented', () => {
		const written = encodeRebuild(most);
		expect(decodeRebuild({ [REBUILD_LABEL]: written }, ['A=changed'], 'reg.example/app:1')).toMatchObject({
			environment: [{ name: 'A', value: 'changed' }],
			labels: [],
		});
	});
});

describe('an image of S2I', () => {
	const labels = {
		'io.openshift.s2i.build.image': 'docker.io/centos/ruby:latest',
		'io.openshift.s2i.build.source-location': 'https://example.org/app.git',
		'io.openshift.s2i.build.source-context-dir': 'web',
		'io.openshift.s2i.build.commit.ref': 'main',
		'io.openshift.s2i.build.commit.id': commit,
		'io.openshift.s2i.scripts-url': 'image:///usr/libexec/s2i',
		'io.k8s.display-name': 'shop',
	};

	test('is built again from its commit, not from the tip of its branch, and with the scripts of its source', () => {
		expect(decodeRebuild(labels, ['A=1'], 'reg.example/app:1')).toEqual({
			...least,
			builder: 'docker.io/centos/ruby:latest',
			commit,
			contextDir: 'web',
			applicationName: 'shop',
		});
	});

	test.each(['io.openshift.s2i.build.image', 'io.openshift.s2i.build.source-location'])('needs %s', (name) => {
		expect(() => decodeRebuild({ ...labels, [name]: '' }, undefined, 'reg.example/app:1')).toThrow(
			expect.objectContaining({
				code: 'IMAGE_INVALID',
				message: expect.stringContaining('reg.example/app:1 does not say how it was built') as string,
			}) as Error,
		);
	});
});

test.each([
	'',
	'null',
	'[]',
	'{}',
	'{"builder":1,"source":"x"}',
	'{"builder":"b","source":"s","commit":"--upload-pack=x"}',
])('a damaged label %j is told of', (written) => {
	expect(() => decodeRebuild({ [REBUILD_LABEL]: written }, [], 'reg.example/app:1')).toThrow(
		expect.objectContaining({
			code: 'IMAGE_INVALID',
			message: expect.stringContaining(`${REBUILD_LABEL} of reg.example/app:1`) as string,
		}) as Error,
	);
});

describe('the label of a build', () => {
	const source = { location: 'https://example.org/app.git', epoch: 0, ignoredScripts: [] };
	const builder = { name: 'b', digest: digestOf(new Uint8Array()) };
	const change = {
		runPath: '/run',
		environment: [],
		labels: {},
		source,
		builder,
		displayName: undefined,
		rebuild: most,
	};

	test('is in the image', () => {
		const { Labels } = imageChange(change).config({});
		expect(Labels?.[REBUILD_LABEL]).toBe(encodeRebuild(most));
	});

	test('is left out, rather than failing the build, when labels would exceed their limit', () => {
		const { Labels } = imageChange({ ...change, labels: { big: 'x'.repeat(9900) } }).config({
			Labels: { [REBUILD_LABEL]: 'of the base' },
		});
		expect(Labels).not.toHaveProperty(REBUILD_LABEL);
	});
});

test.each([
	['ssh://git@example.org/a', 'ssh://git@example.org/a'],
	['ssh://git:s3cret@example.org/a?x#y', 'ssh://git@example.org/a'],
	['https://ada:s3cret@example.org/a?token=x', 'https://example.org/a'],
	['git@example.org:a', 'git@example.org:a'],
])('a location without credentials keeps who one is to ssh: %s', (text, location) => {
	expect(withoutCredentials(text)).toBe(location);
});

describe('labels that name an address for this machine only', () => {
	test.each<[string, Partial<RebuildInputs>]>([
		['scripts', { scriptsUrl: 'http://169.254.169.254/x' }],
		['scripts by name', { scriptsUrl: 'HTTPS://metadata.google.internal/x' }],
		['a source', { source: 'http://[fd00:ec2::254]/app.tar.gz' }],
		['a repository', { source: 'git://169.254.169.254/app.git' }],
		['a builder', { builder: '169.254.169.254/team/builder:1' }],
		['a builder in full', { builder: 'docker://metadata.goog/team/builder:1' }],
		['a runtime image', { runtime: { image: '100.100.100.200:80/run', artifacts: [], user: undefined } }],
	])('are refused: %s', (_title, inputs) => {
		const message = expect.stringContaining('reg.example/app:1') as string;
		const refused = expect.objectContaining({ code: 'IMAGE_INVALID', message }) as Error;
		expect(() => refuseLocalAddresses({ ...least, ...inputs }, true, 'reg.example/app:1')).toThrow(refused);
	});

	test.each<[string, Partial<RebuildInputs>]>([
		['a private network', { scriptsUrl: 'http://10.0.0.1/x', source: 'https://gitlab.local/app.git' }],
		['this machine', { scriptsUrl: 'http://127.0.0.1:8000/x', builder: 'localhost:5000/builder' }],
		['a name at Docker Hub', { builder: 'metadata/builder:1' }],
		['a name without a path', { builder: 'metadata:latest' }],
		['a layout', { builder: 'oci:/srv/metadata:1' }],
		['what is copied', { source: '/srv/app', scriptsUrl: 'file:///srv/s2i' }],
	])('are those alone: %s may be named', (_title, inputs) => {
		expect(() => refuseLocalAddresses({ ...least, ...inputs }, true, 'reg.example/app:1')).not.toThrow();
	});

	test('do not count for the source that the user names instead', () => {
		expect(() =>
			refuseLocalAddresses({ ...least, source: 'http://169.254.169.254/' }, false, 'reg.example/app:1'),
		).not.toThrow();
	});
});

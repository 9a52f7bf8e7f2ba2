import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { convert } from '../../../src/build-config/convert.js';
import { nameImages } from '../../../src/build-config/image-streams.js';
import type { Engine } from '../../../src/build-config/left-fields.js';
import { readBuildConfig } from '../../../src/build-config/read-build-config.js';
import { faultsOf } from '../../support/custom-resource.js';
import { temporaryDirectory } from '../../support/fs.js';
import { runMain } from '../cli/io.js';

const SHOP = 'testdata/build-config/shop.yaml';
const ENGINES: readonly Engine[] = ['shipwright', 'tekton', 'gitlab', 'github'];

function converted(text: string, engine: Engine): string {
	const config = readBuildConfig(text, 'app.yaml');
	const objects = config.beside;
	return convert(config, engine, { objects, nameImage: nameImages([], objects, config.value.metadata.namespace) });
}

/** A BuildConfig with `value` wherever it may be anything. */
function withValue(value: string, spec: object = {}): string {
	const image = { kind: 'DockerImage', name: 'reg.example/a' };
	return stringify({
		apiVersion: 'build.openshift.io/v1',
		kind: 'BuildConfig',
		metadata: { name: 'app' },
		spec: {
			strategy: { sourceStrategy: { from: image, env: [{ name: 'A', value }], scripts: value } },
			source: { git: { uri: 'https://git.example/a', ref: value }, contextDir: value },
			output: { to: image, imageLabels: [{ name: 'l', value }] },
			...spec,
		},
	});
}

test.each(ENGINES)('the build for %s is the golden one', async (engine) => {
	await expect(converted(readFileSync(SHOP, 'utf8'), engine)).toMatchFileSnapshot(
		`../../../testdata/golden/build-config/${engine}.yaml`,
	);
});

test.each(ENGINES)('no value of a Secret is written for %s', (engine) => {
	expect(converted(readFileSync(SHOP, 'utf8'), engine)).not.toContain('canary');
});

describe.each([
	['shipwright', 'shipwright-builds.yaml', 'v1beta1'],
	['tekton', 'tekton-taskrun.yaml', 'v1'],
] as const)('what is written for %s is what its definition allows', (engine, file, version) => {
	test('of everything, and of a binary source', (context) => {
		const all = parse(converted(readFileSync(SHOP, 'utf8'), engine)) as object;
		expect(faultsOf(context, file, version, all)).toEqual([]);
		const binary = parse(converted(withValue('x', { source: { binary: {} } }), engine)) as object;
		expect(faultsOf(context, file, version, binary)).toEqual([]);
		expect(faultsOf(context, file, version, { ...all, wrong: 1 })).not.toEqual([]);
	});
});

describe('any value at all', () => {
	test('stays the value that it is', () => {
		const anyText = fc.string({ unit: 'grapheme', minLength: 1 });
		fc.assert(
			fc.property(anyText, fc.constantFrom<Engine>('shipwright', 'tekton', 'gitlab'), (value, engine) => {
				fc.pre(engine !== 'gitlab' || !/[\r\n]/.test(value));
				const written = JSON.stringify(parse(converted(withValue(value), engine)));
				const expanded = engine === 'gitlab' ? written.replaceAll('$$', '$') : written;
				expect(expanded).toContain(JSON.stringify(`A=${value}`));
			}),
		);
	});

	test('is no expression for GitHub', () => {
		const text = converted(withValue('${{ secrets.TOKEN }}'), 'github');
		const expressions = [...text.matchAll(/\$\{\{.*?\}\}/g)].map(([each]) => each);
		expect(new Set(expressions)).toEqual(new Set(["${{ '${{' }}"]));
	});

	test('names no variable of GitLab', () => {
		const text = converted(withValue('$CI_JOB_TOKEN'), 'gitlab');
		expect(text.match(/\$+CI_JOB_TOKEN/g)).toEqual(Array.from({ length: 5 }, () => '$$CI_JOB_TOKEN'));
	});

	test.each(['github', 'gitlab'] as const)('of several lines is no second variable for %s', (engine) => {
		const text = converted(withValue('one\nB=two'), engine);
		expect(text).toContain('spec.strategy.sourceStrategy.env[0]');
		const written = parse(text) as {
			readonly jobs?: { readonly build: { readonly steps: readonly [{ readonly with: object }] } };
			readonly include?: readonly [{ readonly inputs: object }];
		};
		const inputs = written.include?.[0].inputs ?? written.jobs?.build.steps[0].with ?? {};
		const names = ['image', 'builder-image', 'source', 'ref', 'context-dir', 'scripts-url'];
		expect(Object.keys(inputs)).toEqual(names);
	});
});

const HOOK = 'rake "$A" ${{ secrets.A }}\ntrue';
test.each([
	['github', { 'before-push': 'rake "$A" ${{ \'${{\' }} secrets.A }}\ntrue' }],
	['gitlab', { 'before-push': 'rake "$$A" $${{ secrets.A }}\ntrue' }],
	['shipwright', { name: 'options', values: [{ value: `--before-push=${HOOK}` }] }],
	['tekton', { name: 'OPTIONS', value: [`--before-push=${HOOK}`] }],
] as const)('%s is told of a script before the push, as it is', (engine, wanted) => {
	const text = converted(withValue('x', { source: { binary: {} }, postCommit: { script: HOOK } }), engine);
	expect(text).not.toContain('postCommit');
	expect(JSON.stringify(parse(text))).toContain(JSON.stringify(wanted).slice(1, -1));
});

describe('what an engine has no words for is in a comment, with its place', () => {
	const hooks = [
		{ script: 'rake "$1"', args: ['test'] },
		{ command: ['rake', 'test'] },
		{ command: ['rake'], args: ['test'] },
		{ args: ['test'] },
	];
	test.each(ENGINES.flatMap((engine) => hooks.map((hook) => [engine, hook] as const)))(
		'%s: postCommit %j',
		(engine, postCommit) => {
			expect(converted(withValue('x', { postCommit }), engine)).toMatch(
				/^# {3}spec\.postCommit \(app\.yaml:\d+:\d+\): /m,
			);
		},
	);

	test.each(ENGINES)('%s: several sources, and those that are optional', (engine) => {
		const image = { kind: 'DockerImage', name: 'reg.example/b' };
		const secretKeyRef = { name: 's', key: 'k', optional: true };
		const sourceStrategy = {
			from: image,
			env: [{ name: 'A', valueFrom: { secretKeyRef } }],
			runtimeImage: image,
			runtimeArtifacts: [{ sourcePath: '/a' }],
		};
		const source = {
			binary: { asFile: 'app.jar' },
			images: [{ from: image, paths: [{ sourcePath: '/x', destinationDir: '.' }] }],
		};
		const text = converted(withValue('x', { source, strategy: { sourceStrategy }, runPolicy: 'Serial' }), engine);
		const comment = text.slice(0, text.indexOf('\n\n'));
		for (const field of ['source.binary', 'source.images', 'runPolicy'])
			expect(comment).toContain(`spec.${field} (app.yaml:`);
		for (const field of ['env[0]', 'runtimeImage', 'runtimeArtifacts']) {
			expect(comment).toContain(`spec.strategy.sourceStrategy.${field} (app.yaml:`);
		}
	});
});

describe('s2oci convert', () => {
	test('prints the build, or writes it to a file', async () => {
		const printed = await runMain(['convert', SHOP, '--to', 'shipwright']);
		expect(printed).toEqual({
			status: 0,
			stdout: converted(readFileSync(SHOP, 'utf8'), 'shipwright').replaceAll('app.yaml', SHOP),
			stderr: '',
		});
		const file = join(temporaryDirectory().path, 'build.yaml');
		expect(await runMain(['convert', SHOP, '--to', 'shipwright', '-o', file])).toMatchObject({ status: 0, stdout: '' });
		expect(readFileSync(file, 'utf8')).toBe(printed.stdout);
	});

	test('says which engines there are, and what it needs to know', async () => {
		const none = await runMain(['convert', SHOP]);
		expect([none.status, none.stderr]).toEqual([2, expect.stringContaining('shipwright, tekton, gitlab, github')]);
		const file = join(temporaryDirectory().path, 'app.yaml');
		writeFileSync(file, withValue('x', { output: {} }));
		const nowhere = await runMain(['convert', file, '--to', 'tekton']);
		expect([nowhere.status, nowhere.stderr]).toEqual([
			2,
			expect.stringMatching(/app\.yaml:\d+:\d+: spec\.output\.to is missing/),
		]);
	});
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readBuildRequest } from '../../../src/cli/build-request.js';
import { command } from '../../../src/cli/commands/build.js';
import { parseCommand } from '../../../src/cli/parse-command.js';
import type { BuildRequest } from '../../../src/pipeline/request.js';
import { temporaryDirectory } from '../../support/fs.js';

const SHOP = 'testdata/build-config/shop.yaml';

interface Asked {
	readonly request: BuildRequest;
	readonly warnings: readonly string[];
}

async function asked(...argv: readonly string[]): Promise<Asked> {
	const parsed = await parseCommand(command, argv, { env: { HOME: '/home/ada' }, complete: command.complete });
	if (parsed.type === 'help') throw new Error('help');
	const warnings = parsed.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
	return { request: parsed.adapt(readBuildRequest(parsed.value, parsed)), warnings };
}

/** A BuildConfig with these lines in its spec, each file of its own. */
function configOf(spec: string, name = 'app'): string {
	const path = join(temporaryDirectory().path, `${name}.yaml`);
	const head = `apiVersion: build.openshift.io/v1\nkind: BuildConfig\nmetadata:\n  name: ${name}\nspec:\n`;
	writeFileSync(path, `${head}${spec}`);
	return path;
}

const STRATEGY = '  strategy: {sourceStrategy: {from: {kind: DockerImage, name: reg.example/builder}}}\n';

const texts = (files: readonly { readonly content: Uint8Array }[] | undefined) =>
	files?.map((file) => ({ ...file, content: Buffer.from(file.content).toString() }));

test('a BuildConfig says all that a build is told', async () => {
	const { request } = await asked('--build-config', SHOP);
	expect(request.source).toMatchObject({
		location: 'https://git.example/shop/web.git',
		ref: 'release',
		contextDir: 'server',
		gitEnvironment: { https_proxy: 'http://proxy.example:3128', no_proxy: '.example' },
	});
	expect(texts(request.source.files)).toEqual([{ path: 'conf/site/colour', content: 'green' }]);
	expect(request.builder).toMatchObject({
		reference: { repository: { registry: 'registry.example', path: 'sclorg/nodejs-20' } },
	});
	expect(request.output.targets).toMatchObject([
		{ reference: { repository: { registry: 'registry.example', path: 'shop/web' } } },
	]);
	expect(request.variables.environment).toEqual([
		{ name: 'GREETING', value: 'hello, a=b' },
		{ name: 'DATABASE_PASSWORD', value: 'canary-5b1' },
		{ name: 'COLOUR', value: 'green' },
	]);
	expect(request.scripts.scriptsUrl).toBe('https://scripts.example/s2i');
	expect(request.incremental.enabled).toBe(true);
	expect(request.pullPolicy).toBe('always');
	expect(request.assemble).toMatchObject({ assembleTimeout: 900_000, limits: { memory: 512 * 1024 ** 2, cpus: 1.5 } });
	expect(texts(request.assemble.files)).toEqual([
		{ destination: '.config/.npmrc', content: 'token=a' },
		{ destination: '/etc/certs/web/tls.crt', content: 'cert' },
	]);
	expect(request.image.labels).toEqual([{ name: 'team', value: 'shop' }]);
});

test('each field that no build follows is named once, with its place and what becomes of it', async () => {
	const { warnings } = await asked('--build-config', SHOP);
	const fates = new Map(
		warnings
			.map((line) => /^\S+:(\d+:\d+): (\S+) is (\S+)/.exec(line)?.slice(1) ?? [line])
			.map(([at = '', field = '', fate = '']) => [field, `${at} ${fate}`]),
	);
	expect(Object.fromEntries(fates)).toMatchInlineSnapshot(`
		{
		  "": "the variable DATABASE_PASSWORD is of a Secret and gets into the image's ENV, as in OpenShift; --secret keeps a value out ",
		  "metadata": "7:3 ignored:",
		  "spec.failedBuildsHistoryLimit": "18:5 ignored:",
		  "spec.mountTrustedCA": "19:5 done",
		  "spec.output.pushSecret": "100:7 done",
		  "spec.resources.requests": "29:7 ignored:",
		  "spec.runPolicy": "14:5 ignored:",
		  "spec.serviceAccount": "15:5 ignored:",
		  "spec.source.sourceSecret": "39:7 done",
		  "spec.strategy.sourceStrategy.env[4].valueFrom": "78:11 not",
		  "spec.strategy.sourceStrategy.pullSecret": "56:9 done",
		  "spec.strategy.sourceStrategy.volumes[0].source.secret.defaultMode": "91:15 ignored:",
		  "spec.successfulBuildsHistoryLimit": "17:5 ignored:",
		  "spec.triggers": "20:5 ignored:",
		  "status": "105:3 ignored:",
		}
	`);
	expect(warnings.join('\n')).toContain("DATABASE_PASSWORD is of a Secret and gets into the image's ENV");
	expect(warnings.join('\n')).not.toContain('canary');
});

describe('what is typed wins', () => {
	test('arguments in their order, and options', async () => {
		const line = [
			'--build-config',
			SHOP,
			'./here',
			'reg.example/other',
			'--timeout',
			'5s',
			'--scripts-url',
			'image:///x',
		];
		const { request } = await asked(...line, '--env', 'DATABASE_PASSWORD=typed');
		expect(request.source).toMatchObject({
			location: './here',
			ref: undefined,
			contextDir: 'server',
			gitEnvironment: {},
		});
		expect(request.builder).toMatchObject({ reference: { repository: { path: 'other' } } });
		expect(request.output.targets).toMatchObject([{ reference: { repository: { path: 'shop/web' } } }]);
		expect(request.assemble.assembleTimeout).toBe(5000);
		expect(request.scripts.scriptsUrl).toBe('image:///x');
		expect(request.variables.environment.filter(({ name }) => name === 'DATABASE_PASSWORD')).toEqual([
			{ name: 'DATABASE_PASSWORD', value: 'typed' },
		]);
	});

	test('then nothing has to say what it replaces', async () => {
		const spec =
			'  strategy: {sourceStrategy: {from: {name: nodejs}, env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]}}\n';
		const { request } = await asked('.', 'reg.example/b', '--build-config', configOf(spec), '-e', 'A=1');
		expect(request.variables.environment).toEqual([{ name: 'A', value: '1' }]);
	});
});

describe('an ImageStream', () => {
	const config = () => configOf('  strategy: {sourceStrategy: {from: {name: "nodejs:20", namespace: openshift}}}\n');
	test.each([
		['nodejs:20=reg.example/a:1', 'a', '1'],
		['openshift/nodejs:20=reg.example/b:2', 'b', '2'],
		['nodejs=reg.example/c', 'c', '20'],
		['*=reg.example/d', 'd/openshift/nodejs', '20'],
	])('is what --image-stream %s says', async (stream, path, tag) => {
		const { request } = await asked('.', '--build-config', config(), '--image-stream', stream);
		expect(request.builder).toMatchObject({ reference: { repository: { registry: 'reg.example', path }, tag } });
	});

	test('is what an object of another file says, by digest where it has been imported', async () => {
		const digest = `sha256:${'a'.repeat(64)}`;
		const stream = join(temporaryDirectory().path, 'is.json');
		const items = [{ image: digest, dockerImageReference: `reg.example/e@${digest}` }];
		const metadata = { name: 'nodejs', namespace: 'openshift' };
		writeFileSync(stream, JSON.stringify({ kind: 'ImageStream', metadata, status: { tags: [{ tag: '20', items }] } }));
		const { request } = await asked('.', '--build-config', config(), '--objects', stream);
		expect(request.builder).toMatchObject({ reference: { digest } });
	});

	test('that nobody knows is an error that says what to give', async () => {
		await expect(asked('.', '--build-config', config())).rejects.toMatchObject({
			code: 'USAGE',
			message: expect.stringMatching(
				/app\.yaml:6:\d+: nothing says which image the ImageStreamTag openshift\/nodejs:20 is$/,
			) as string,
			hint: expect.stringContaining('--image-stream nodejs:20=IMAGE') as string,
		});
	});
});

describe('what cannot be built is an error with its place', () => {
	test.each([
		['  strategy: {dockerStrategy: {}}\n', /:6:3: spec\.strategy has no sourceStrategy/],
		[
			'  strategy:\n    sourceStrategy:\n      from: {kind: DockerImage}\n',
			/:8:7: spec\.strategy\.sourceStrategy\.from\.name is missing/,
		],
		[
			`${STRATEGY}  completionDeadlineSeconds: soon\n`,
			/:7:3: spec\.completionDeadlineSeconds does not take this string/,
		],
		[
			`${STRATEGY}  source:\n    git: {uri: x}\n    binary: {}\n`,
			/:9:5: spec\.source\.binary and spec\.source\.git exclude each other/,
		],
		[
			`${STRATEGY}  source:\n    binary: {}\n    images: [{from: {name: x}, paths: [{sourcePath: /, destinationDir: .}]}]\n`,
			/:9:15: nothing says which image the ImageStreamTag x:latest is/,
		],
		[
			`${STRATEGY}  source: {secrets: [{secret: {name: absent}}]}\n`,
			/:7:22: spec\.source\.secrets\[0\] is the Secret absent, which no file has/,
		],
		[`${STRATEGY}  source:\n    git: [\n`, /:\d+:\d+: .*/],
		[`${STRATEGY}  resources: {limits: {memory: much}}\n`, /:7:24: spec\.resources\.limits\.memory is no quantity/],
	])('%j', async (spec, message) => {
		const failed = asked('.', '--build-config', configOf(spec));
		await expect(failed).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) as string });
	});

	test.each([
		['aliases that grow', `x: &a [1, 1]\ny: &b [${'*a, '.repeat(20)}]\nz: [${'*b, '.repeat(20)}]\n`],
		['lists that are deep', `x: ${'['.repeat(20_000)}\n`],
	])('%s', async (_what, text) => {
		const path = join(temporaryDirectory().path, 'hostile.yaml');
		writeFileSync(path, text);
		const failed = asked('.', '--build-config', path);
		await expect(failed).rejects.toMatchObject({
			code: 'USAGE',
			message: expect.stringContaining('hostile.yaml') as string,
		});
	});

	test('a ConfigMap that would leave the source', async () => {
		const path = configOf(`${STRATEGY}  source: {configMaps: [{configMap: {name: c}, destinationDir: ../../etc}]}\n`);
		const objects = join(temporaryDirectory().path, 'c.yaml');
		writeFileSync(objects, 'kind: ConfigMap\nmetadata: {name: c}\ndata: {passwd: x}\n');
		await expect(asked('.', '--build-config', path, '--objects', objects)).rejects.toThrow('leads out of the source');
	});

	test('a binary source that is not given', async () => {
		await expect(asked('--build-config', configOf(`${STRATEGY}  source: {binary: {}}\n`))).rejects.toThrow(
			'has a binary source, and no source is given',
		);
	});
});

describe('postCommit runs before the push', () => {
	const hook = (yaml: string) => configOf(`${STRATEGY}  postCommit: ${yaml}\n`);
	test.each([
		['{script: rake test}', { script: 'rake test', args: [] }],
		['{script: rake "$1", args: [test]}', { script: 'rake "$1"', args: ['test'] }],
		['{command: [rake, test]}', { command: ['rake', 'test'], args: [] }],
		['{command: [rake], args: [test]}', { command: ['rake'], args: ['test'] }],
		['{args: [test]}', { args: ['test'] }],
		['{}', undefined],
	])('%s', async (yaml, wanted) => {
		const { request } = await asked('.', '--build-config', hook(yaml));
		expect(request.output.beforePush).toEqual(wanted);
	});

	test('and --before-push wins', async () => {
		const { request } = await asked('.', '--build-config', hook('{args: [test]}'), '--before-push', 'true');
		expect(request.output.beforePush).toEqual({ script: 'true' });
	});
});

test('one of several is named behind the file', async () => {
	const path = join(temporaryDirectory().path, 'two.yaml');
	const one = (name: string) =>
		`apiVersion: build.openshift.io/v1\nkind: BuildConfig\nmetadata: {name: ${name}}\nspec:\n${STRATEGY}  source: {git: {uri: "https://git.example/${name}"}}\n`;
	writeFileSync(path, `${one('a')}---\n${one('b')}`);
	expect((await asked('--build-config', `${path}#b`)).request.source.location).toBe('https://git.example/b');
	await expect(asked('--build-config', path)).rejects.toMatchObject({
		hint: 'Name one of a, b behind the file: FILE#NAME.',
	});
	await expect(asked('--build-config', `${path}#c`)).rejects.toThrow('no BuildConfig "c"');
});

test('its values are not remembered by --use-config', async () => {
	await expect(asked('--build-config', SHOP, '--use-config')).rejects.toThrow('exclude each other');
});

test.each([
	[{ password: 'canary-77' }, []],
	[
		{ password: 'canary-77', 'ca.crt': 'pem', '.gitconfig': '[core]' },
		[expect.stringMatching(/of the Secret git, ca\.crt, \.gitconfig is not used/)],
	],
	[{ 'ca.crt': 'pem' }, [expect.stringMatching(/^\S+:\d+:\d+: spec\.source\.sourceSecret is /)]],
])('of a Secret for git with %j, the rest is named', async (stringData, wanted) => {
	using directory = temporaryDirectory();
	const objects = join(directory.path, 'git.json');
	writeFileSync(objects, JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'git' }, stringData }));
	const source = '  source: {git: {uri: https://git.example/app.git}, sourceSecret: {name: git}}\n';
	const { warnings } = await asked('--build-config', configOf(`${source}${STRATEGY}`), '--objects', objects);
	expect(warnings).toEqual(wanted);
	expect(warnings.join()).not.toContain('canary');
});

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import { build, s2oci } from '../support/build.js';
import { removeTree } from '../support/fs.js';
import { leftovers, makeWorkspace, type Workspace } from '../support/host.js';
import { readLayout, TINY_APP, tinyLayout, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STARTED = /new URL\('(\.[\w./-]+\.js)', import\.meta\.url\)/g;
const LIMIT = 30;

let directory = '';
let program = '';
let files: readonly string[] = [];
beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), 's2oci-npm-'));
	const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', directory];
	const [packed] = JSON.parse(execFileSync('npm', words, { cwd: ROOT, encoding: 'utf8' })) as [Packed];
	files = packed.files.map(({ path }) => path);
	program = install(join(directory, packed.filename));
});
afterAll(() => removeTree(directory));

interface Packed {
	readonly filename: string;
	readonly files: readonly { readonly path: string }[];
}

interface Ran {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** Installs a tarball, with the koffi of this checkout, and without any network; returns the path of its program. */
function install(tarball: string): string {
	const target = join(directory, 'installed');
	mkdirSync(target);
	const koffi = `koffi@file:${join(ROOT, 'node_modules/koffi')}`;
	const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--ignore-scripts', '--omit=optional'];
	execFileSync('npm', ['install', '--offline', ...quiet, '--prefix', target, koffi, tarball], {
		cwd: target,
		env: { ...process.env, npm_config_cache: join(directory, 'cache') },
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	return join(target, 'node_modules/s2oci/bin/s2oci.js');
}

test(`it has fewer than ${LIMIT} files, and each program that is started by its file`, () => {
	expect(files.length, files.join('\n')).toBeLessThan(LIMIT);
	const started = globSync('**/*.ts', { cwd: join(ROOT, 'src') }).flatMap((file) =>
		[...readFileSync(join(ROOT, 'src', file), 'utf8').matchAll(STARTED)].map(([, name = '']) =>
			posix.join('dist', posix.dirname(file), name),
		),
	);
	expect(started).toContain('dist/worker/main.js');
	expect(started.filter((path) => !files.includes(path))).toEqual([]);
});

test('installed without a network, it explains itself and builds', async () => {
	const { host } = await tinyRegistry();
	const workspace = makeWorkspace();
	const help = await s2oci(workspace, ['--help'], { program });
	expect(help).toMatchObject({ status: 0, stderr: '' });
	expect(help.stdout).toContain('Usage: s2oci <command> [arguments]');
	const { result } = await build(workspace, [TINY_APP, `${host}/builders/tiny`, `${host}/team/app:1`], { program });
	expect(result.layer?.diffId).toMatch(/^sha256:/);
});

describe('as a library', () => {
	const EXAMPLE = readFileSync(join(ROOT, 'examples/build.ts'), 'utf8');
	const TYPES = join(ROOT, 'node_modules/@types');

	/** Runs a program that lies beside the installed package. */
	function start({ home, temporary, store }: Workspace, file: string, ...words: readonly string[]): Promise<Ran> {
		const env = { PATH: process.env['PATH'], HOME: home, TMPDIR: temporary, S2OCI_STORE: store };
		const options = { cwd: join(directory, 'installed'), env, encoding: 'utf8' } as const;
		return new Promise((resolve) => {
			execFile(process.execPath, [file, ...words], options, (error, stdout, stderr) =>
				resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
			);
		});
	}

	function write(file: string, text: string): void {
		writeFileSync(join(directory, 'installed', file), text);
	}

	/** What the strictest compiler says of `text`. */
	function check(name: string, text: string): string {
		write(name, text);
		const strict = [
			'--noEmit',
			'--strict',
			'--exactOptionalPropertyTypes',
			'--module',
			'nodenext',
			'--target',
			'es2022',
		];
		const words = [...strict, '--lib', 'es2024,esnext.disposable', '--types', 'node', '--typeRoots', TYPES, name];
		const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
		return spawnSync(process.execPath, [compiler, ...words], {
			cwd: join(directory, 'installed'),
			encoding: 'utf8',
		}).stdout;
	}

	test('the example builds, and says why where it cannot', async () => {
		const { host, manifests } = await tinyRegistry();
		const workspace = makeWorkspace();
		write('build.mts', EXAMPLE);
		const built = await start(workspace, 'build.mts', TINY_APP, `${host}/builders/tiny`, `${host}/team/app:1`);
		expect(built).toMatchObject({ status: 0, stderr: expect.stringContaining('assemble took') as string });
		const [, digest = ''] = built.stdout.trim().split('@');
		expect(built.stdout).toBe(`${host}/team/app:1@${digest}\n`);
		expect([...manifests.keys()]).toContain(`team/app@${digest}`);
		const failed = await start(workspace, 'build.mts', TINY_APP, `${host}/builders/none`, `${host}/team/app:1`);
		expect(failed).toMatchObject({ status: 1, stdout: '' });
		expect(failed.stderr).toMatch(/^REGISTRY_NOT_FOUND: /);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('builds of one program at once give the image that the command gives, and a signal ends one', async () => {
		const { host } = await tinyRegistry();
		const workspace = makeWorkspace();
		const env = { SOURCE_DATE_EPOCH: '1750000000' };
		const [builder, target] = [`${host}/builders/tiny`, `${host}/team/app:1`];
		const { result } = await build(workspace, [TINY_APP, builder, target, '--copy'], { env });
		const options = { source: { location: TINY_APP, copy: true }, builder, targets: [target], reuse: 'never' };
		write(
			'several.mjs',
			`import { build } from 's2oci';
			const options = { ...${JSON.stringify(options)}, env: { ...process.env, ...${JSON.stringify(env)} } };
			const stop = new AbortController();
			const onEvent = ({ type, stage }) => type === 'stage' && stage === 'assemble' && stop.abort('enough');
			const started = [build(options), build(options), build(options, { onEvent, signal: stop.signal })];
			const ended = await Promise.allSettled(started);
			console.log(JSON.stringify(ended.map(({ value, reason }) => value?.digest ?? [reason.code, reason.cause])));`,
		);
		const { status, stdout, stderr } = await start(workspace, 'several.mjs');
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
		expect(JSON.parse(stdout)).toEqual([result.digest, result.digest, ['INTERRUPTED', 'enough']]);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('an image is a value, with digests of layers that nobody fetched', async () => {
		const { host, requests } = await tinyRegistry();
		write(
			'resolve.mjs',
			`import { formatImageLocation, parseImageLocation, resolveImage } from 's2oci';
			const location = parseImageLocation('${host}/builders/tiny');
			const { manifest, config, layers } = await resolveImage(location);
			const refused = await resolveImage('docker-archive:image.tar').catch(({ code }) => code);
			const { digest } = manifest.descriptor;
			const { User } = config.value.config;
			console.log(JSON.stringify([formatImageLocation(location), digest, User, layers.length, refused]));`,
		);
		const { stdout } = await start(makeWorkspace(), 'resolve.mjs');
		const { manifest } = readLayout(tinyLayout());
		expect(JSON.parse(stdout)).toEqual([`${host}/builders/tiny:latest`, digestOf(manifest), '1001', 4, 'USAGE']);
		expect(requests.filter(({ path }) => path.includes('/blobs/'))).toHaveLength(1);
	});

	test('the strictest compiler has nothing to say of the example, and finds mistakes', () => {
		expect(check('right.mts', EXAMPLE)).toBe('');
		const wrong = [
			"import { build } from 's2oci';",
			"await build({ source: '.', builder: 1 });",
			"import 's2oci/dist/x.js';",
		];
		const found = check('wrong.mts', `${wrong.join('\n')}\n`);
		expect([...found.matchAll(/^wrong\.mts\((\d),\d+\): error (\w+)/gm)].map(([, line, code]) => [line, code])).toEqual(
			[
				['2', 'TS2322'],
				['3', expect.stringMatching(/^TS2(?:307|882)$/)],
			],
		);
	});
});

test('installed, it makes a skeleton and names a page of documentation that it has', async () => {
	const workspace = makeWorkspace();
	const made = await s2oci(workspace, ['create', 'my-builder', join(workspace.home, 'made')], { program });
	expect(made).toMatchObject({ status: 0 });
	expect(files).toContain('docs/doctor.md');
});

test('it has the licence of each package that its programs contain', () => {
	const text = readFileSync(join(program, '../../dist/LICENSES.txt'), 'utf8');
	for (const name of ['undici', 'execa', 'valibot', 'tar-stream', 'streamx', 'yauzl', 're2js', 'zstddec']) {
		expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'));
	}
});

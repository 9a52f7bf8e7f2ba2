import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { removeTree } from '../support/fs.js';
import { makeWorkspace } from '../support/host.js';
import { TINY_APP, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

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

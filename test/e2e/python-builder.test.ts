import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { type BuiltImage, decoded } from '../support/built.js';
import { zipOf } from '../support/fixtures.js';
import {
	leftovers,
	makeWorkspace,
	removeTree,
	requirePrograms,
	requireRoot,
	requireUser,
	type UserName,
	until,
	type Workspace,
} from '../support/host.js';
import { makeSource, readLayout } from '../support/tiny.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const ROOT = 'opt/app-root';
const PORT = String(30_000 + (process.pid % 10_000));

let layout = '';

beforeAll(() => {
	layout = mkdtempSync(join(tmpdir(), 's2oci-python-'));
	execFileSync('chmod', ['755', layout]);
	execFileSync(at('scripts/make-builder'), ['--python', layout], { stdio: ['ignore', 'ignore', 'inherit'] });
});
afterAll(() => removeTree(layout));

/** The sample application, with the wheel that it requires. */
function pythonSource(): string {
	const app = at('testdata/apps/python-web');
	const read = (path: string) => readFileSync(join(app, path), 'utf8');
	const names = ['app.py', 'requirements.txt', '.s2i/environment'];
	const source = makeSource({ ...Object.fromEntries(names.map((name) => [name, read(name)])), 'wheels/list.txt': '' });
	const info = 'greeting-1.0.dist-info';
	const files = {
		'greeting.py': read('packages/greeting/greeting.py'),
		[`${info}/METADATA`]: read('packages/greeting/METADATA'),
		[`${info}/WHEEL`]: read('packages/greeting/WHEEL'),
	};
	const record = [...Object.keys(files), `${info}/RECORD`].map((name) => `${name},,\n`).join('');
	const wheel = join(source, 'wheels/greeting-1.0-py3-none-any.whl');
	writeFileSync(wheel, zipOf({ ...files, [`${info}/RECORD`]: record }), { mode: 0o644 });
	execFileSync('touch', ['-d', '@1750000000', wheel, join(source, 'wheels')]);
	return source;
}

function buildPython(workspace: Workspace, source: string, ...options: readonly string[]) {
	const target = `oci:${workspace.root}/home/image:1`;
	return build(workspace, [source, `oci:${layout}:latest`, target, '--copy', ...options], { limitMs: 170_000 });
}

const builtBy = ({ root }: Workspace): Promise<BuiltImage> => decoded(readLayout(join(root, 'home/image'), '1'));

describe('a builder image in the manner of sclorg', () => {
	const digests = new Set<unknown>();
	const source = { path: '' };

	test.for<UserName>(['root', 's2oci-plain'])('gives %s the same image as everybody', async (name, context) => {
		const workspace = makeWorkspace(requireUser(context, name));
		const { result, stderr } = await buildPython(workspace, source.path || (source.path = pythonSource()));
		digests.add(result.digest);
		expect(digests.size).toBe(1);
		const { entries, config } = await builtBy(workspace);
		const header = (path: string) => entries.get(`${ROOT}/${path}`)?.header;
		expect(header('venv/lib/python3.11/site-packages/greeting.py')).toMatchObject({ uid: 1001, gid: 0, mode: 0o664 });
		expect(header('venv/bin/python3')).toMatchObject({ type: 'symlink', linkname: '/usr/bin/python3' });
		expect(header('src/app.py')).toMatchObject({ uid: 1001, gid: 0, mode: 0o664 });
		expect([...entries.keys()].filter((path) => !path.startsWith('opt'))).toEqual([]);
		expect(config.config).toMatchObject({
			User: '1001',
			Entrypoint: ['container-entrypoint'],
			Cmd: ['/usr/libexec/s2i/run'],
			WorkingDir: '/opt/app-root/src',
		});
		expect(config.config.Env).toEqual(expect.arrayContaining(['PIP_FIND_LINKS=wheels', 'GREETED=the Python builder']));
		expect(stderr).toContain('Making a virtual environment');
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('reuses its virtual environment, absolute links included, in an incremental build', async (context) => {
		const workspace = makeWorkspace(requireUser(context, 's2oci-plain'));
		const app = pythonSource();
		const first = await buildPython(workspace, app);
		const second = await buildPython(workspace, app, '--incremental');
		expect(second.stderr).toContain('Restoring the virtual environment');
		expect(second.stderr).toContain('Requirement already satisfied: greeting==1.0');
		expect(second.stderr).not.toMatch(/warning/i);
		expect(second.result.layer?.diffId).toBe(first.result.layer?.diffId);
	});

	test('that refuses a configuration with status 3 ends the build with status 1', async () => {
		const workspace = makeWorkspace();
		const conflict = ['-e', 'ENABLE_PIPENV=1', '-e', 'ENABLE_MICROPIPENV=1'];
		const args = ['build', makeSource({ 'app.py': '' }), `oci:${layout}:latest`, '--copy', ...conflict];
		const { status, stderr, result } = await s2oci(workspace, args);
		expect([status, result?.error?.code]).toEqual([1, 'ASSEMBLE_FAILED']);
		expect(stderr).toMatch(/error: assemble .* ended with status 3\b/);
		expect(stderr).toContain('Pipenv and micropipenv cannot be enabled at the same time');
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('makes an image that runs as any uid in group 0', async (context) => {
		requireRoot(context);
		requirePrograms(context, 'umoci', 'bwrap', 'setpriv', 'curl');
		const workspace = makeWorkspace();
		await buildPython(workspace, pythonSource());
		const bundle = join(workspace.root, 'bundle');
		execFileSync('umoci', ['unpack', '--image', `${workspace.home}/image:1`, bundle], { stdio: 'ignore' });
		const { config } = (await builtBy(workspace)).config;
		const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
		const env = [...config.Env, `PORT=${PORT}`].flatMap((variable) => ['--setenv', ...split(variable)]);
		const root = join(bundle, 'rootfs');
		const become = ['--reuid', '100001', '--regid', '0', '--clear-groups'];
		const sandbox = ['--unshare-user', '--unshare-pid', '--bind', root, '/', '--proc', '/proc', '--dev', '/dev'];
		const options = [...sandbox, '--clearenv', ...env, '--chdir', config.WorkingDir ?? '/', '--die-with-parent'];
		const server = spawn('setpriv', [...become, 'bwrap', ...options, ...command], { stdio: 'ignore' });
		onTestFinished(() => void server.kill('SIGKILL'));
		await until('the page', () => page() !== '', 30_000);
		expect(page()).toBe('Hello from the Python builder\nuser 100001:0\n');
		expect(readdirSync(join(root, ROOT, 'src'))).toContain('visits');
	});
});

function split(variable: string): readonly string[] {
	const equals = variable.indexOf('=');
	return [variable.slice(0, equals), variable.slice(equals + 1)];
}

function page(): string {
	try {
		return execFileSync('curl', ['-sf', '--noproxy', '*', `http://127.0.0.1:${PORT}/`], { encoding: 'utf8' });
	} catch {
		return '';
	}
}

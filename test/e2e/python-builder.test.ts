import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { agreement } from '../support/agreement.js';
import { build, s2oci } from '../support/build.js';
import { type BuiltImage, type ConfigJson, decoded } from '../support/built.js';
import { zipOf } from '../support/fixtures.js';
import { removeTree } from '../support/fs.js';
import {
	leftovers,
	makeWorkspace,
	requirePrograms,
	requireRoot,
	requireUser,
	until,
	type Workspace,
} from '../support/host.js';
import { makeSource, readLayout } from '../support/tiny.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const ROOT = 'opt/app-root';
const PORT = String(30_000 + (process.pid % 10_000));

let scratch = '';
const builder = (): string => `oci:${scratch}/builder:latest`;
const application = (): string => join(scratch, 'app');

beforeAll(() => {
	scratch = mkdtempSync(join(tmpdir(), 's2oci-python-'));
	execFileSync(at('scripts/make-builder'), ['--python', join(scratch, 'builder')], {
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	makeApplication(application());
	execFileSync('chmod', ['-R', 'a+rX', scratch]);
});
afterAll(() => removeTree(scratch));

/** The sample application, with the wheel that it requires in place of what that is made of. */
function makeApplication(path: string): void {
	cpSync(at('testdata/apps/python-web'), path, { recursive: true });
	const read = (name: string) => readFileSync(join(path, 'packages/greeting', name), 'utf8');
	const info = 'greeting-1.0.dist-info';
	const files = {
		'greeting.py': read('greeting.py'),
		[`${info}/METADATA`]: read('METADATA'),
		[`${info}/WHEEL`]: read('WHEEL'),
	};
	const record = [...Object.keys(files), `${info}/RECORD`].map((name) => `${name},,\n`).join('');
	mkdirSync(join(path, 'wheels'));
	writeFileSync(join(path, 'wheels/greeting-1.0-py3-none-any.whl'), zipOf({ ...files, [`${info}/RECORD`]: record }));
	removeTree(join(path, 'packages'));
	execFileSync('find', [path, '-exec', 'touch', '-d', '@1750000000', '{}', '+']);
}

function buildPython(workspace: Workspace, ...options: readonly string[]) {
	const target = `oci:${workspace.home}/image:1`;
	return build(workspace, [application(), builder(), target, '--copy', '-n', 'python-web', ...options], {
		limitMs: 350_000,
	});
}

const builtIn = ({ home }: Workspace): Promise<BuiltImage> => decoded(readLayout(join(home, 'image'), '1'));

describe('a builder image in the manner of sclorg', () => {
	const images = agreement('the image');

	test('builds as a plain user; an incremental build reuses the virtual environment and gives the same layer', async (context) => {
		const workspace = makeWorkspace(requireUser(context, 's2oci-plain'));
		const { result, stderr } = await buildPython(workspace);
		images.add(`${String(result.layer?.diffId)} ${String(result.digest)}`);
		expect(stderr).toContain('Making a virtual environment');
		const { entries, config } = await builtIn(workspace);
		const header = (path: string) => entries.get(`${ROOT}/${path}`)?.header;
		const own = { uid: 1001, gid: 0, mode: 0o664 };
		expect(header('src/app.py')).toMatchObject(own);
		expect(header('venv/bin/activate')).toMatchObject(own);
		expect([...entries.keys()].filter((path) => path.endsWith('/site-packages/greeting.py'))).toHaveLength(1);
		expect(header('venv/bin/python3')).toMatchObject({ type: 'symlink', linkname: '/usr/bin/python3' });
		expect([...entries.keys()].filter((path) => !path.startsWith('opt'))).toEqual([]);
		expect(config.config).toMatchObject({
			User: '1001',
			Entrypoint: ['container-entrypoint'],
			Cmd: ['/usr/libexec/s2i/run'],
			WorkingDir: '/opt/app-root/src',
		});
		expect(config.config.Env).toEqual(expect.arrayContaining(['PIP_FIND_LINKS=wheels', 'GREETED=the Python builder']));

		const again = await buildPython(workspace, '--incremental');
		expect(again.stderr).toContain('Restoring the virtual environment');
		expect(again.stderr).toContain('Requirement already satisfied: greeting==1.0');
		expect(again.stderr).not.toMatch(/warning/i);
		expect(again.result.layer?.diffId).toBe(result.layer?.diffId);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('builds the same image as root, and it runs as any uid in group 0', async (context) => {
		requireRoot(context);
		requirePrograms(context, 'umoci', 'bwrap', 'setpriv', 'curl');
		const workspace = makeWorkspace();
		const { result } = await buildPython(workspace);
		images.add(`${String(result.layer?.diffId)} ${String(result.digest)}`);
		const bundle = join(workspace.root, 'bundle');
		execFileSync('umoci', ['unpack', '--image', `${workspace.home}/image:1`, bundle], { stdio: 'ignore' });
		chmodSync(bundle, 0o755);
		const { config } = await builtIn(workspace);
		startAs('100001', join(bundle, 'rootfs'), config.config);
		await until('the page', () => page() !== '', 30_000);
		expect(page()).toBe('Hello from the Python builder\nuser 100001:0\n');
		expect(readdirSync(join(bundle, 'rootfs', ROOT, 'src'))).toContain('visits');
	});

	images.isTested();

	test('that refuses a configuration with status 3 ends the build with status 1', async () => {
		const workspace = makeWorkspace();
		const conflict = ['-e', 'ENABLE_PIPENV=1', '-e', 'ENABLE_MICROPIPENV=1'];
		const args = ['build', makeSource({ 'app.py': '' }), builder(), '--copy', ...conflict];
		const { status, stderr, result } = await s2oci(workspace, args);
		expect([status, result?.error?.code]).toEqual([1, 'ASSEMBLE_FAILED']);
		expect(stderr).toMatch(/error: assemble .* ended with status 3\b/);
		expect(stderr).toContain('Pipenv and micropipenv cannot be enabled at the same time');
		expect(await leftovers(workspace)).toEqual([]);
	});
});

/** Runs an image's command in its root filesystem until the test ends, as a uid that the image does not know, in group 0. */
function startAs(uid: string, root: string, config: ConfigJson['config']): void {
	const become = ['--reuid', uid, '--regid', '0', '--clear-groups'];
	const env = [...config.Env, `PORT=${PORT}`].flatMap((variable) => ['--setenv', ...split(variable)]);
	const sandbox = ['--unshare-user', '--unshare-pid', '--bind', root, '/', '--proc', '/proc', '--dev', '/dev'];
	const options = [...sandbox, '--clearenv', ...env, '--chdir', config.WorkingDir ?? '/', '--die-with-parent'];
	const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
	const server = spawn('setpriv', [...become, 'bwrap', ...options, ...command], { stdio: 'ignore' });
	onTestFinished(() => void server.kill('SIGKILL'));
}

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

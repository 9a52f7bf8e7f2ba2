import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { build, type Finished, type RunOptions, s2oci } from '../support/build.js';
import { decoded } from '../support/built.js';
import { leftovers, makeWorkspace, type Workspace } from '../support/host.js';
import { assembleSource, makeSource, readLayout, TINY_APP, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const PROGRAM = process.env['S2OCI_TEST_PROGRAM'] ?? fileURLToPath(new URL('../../bin/s2oci.js', import.meta.url));
const builder = () => `oci:${tinyLayout()}:latest`;
const named = (name: string): RunOptions => ({ env: { S2OCI_NAME: name } });

async function imageOf(workspace: Workspace): Promise<Awaited<ReturnType<typeof decoded>>> {
	return decoded(readLayout(join(workspace.root, 'image'), '1'));
}

describe('the name of the program', () => {
	test('may be s2i, by a link', async () => {
		const workspace = makeWorkspace();
		const link = join(workspace.root, 's2i');
		symlinkSync(PROGRAM, link);
		const wrapper = ['sh', '-c', `shift; shift; exec ${process.execPath} ${link} "$@"`, 'sh'];
		const { status, stderr } = await s2oci(workspace, ['build', TINY_APP, builder(), '--copy'], { wrapper });
		expect({ status, deprecated: stderr.includes('deprecated') }).toEqual({ status: 0, deprecated: false });
	});

	test('may be sti: builds of 2014 work, are incremental, and say that the name is deprecated', async () => {
		const workspace = makeWorkspace();
		const image = `oci:${workspace.root}/image:1`;
		const args = ['build', TINY_APP, builder(), image, '-c', '-e', 'TINY_A=1,TINY_B=2'];
		const first = await s2oci(workspace, args, named('sti'));
		expect(first.status).toBe(0);
		expect(first.stderr).toContain('warning: the name sti is deprecated');
		expect((await imageOf(workspace)).config.config.Env).toEqual(expect.arrayContaining(['TINY_A=1', 'TINY_B=2']));
		await s2oci(workspace, args, named('sti'));
		expect((await imageOf(workspace)).entries.has('opt/app-root/src/save-artifacts-invoked')).toBe(true);
		const clean = await s2oci(workspace, [...args, '--clean', '--contextDir', '.'], named('sti'));
		expect(clean.stderr).toContain('--clean is deprecated');
		expect((await imageOf(workspace)).entries.has('opt/app-root/src/save-artifacts-invoked')).toBe(false);
	});
});

describe('--use-config', () => {
	test('remembers a build without its secrets, in a private file, and repeats it', async () => {
		const workspace = makeWorkspace();
		const image = `oci:${workspace.root}/image:1`;
		const remembered = ['-e', 'TINY_A=1,x', '-e', 'TINY_B=2', '--label', 'team=web', '--copy'];
		const secrets = ['--build-env', 'TINY_TOKEN=t0ken'];
		const options = { cwd: workspace.home };
		await build(workspace, [TINY_APP, builder(), image, '--use-config', ...remembered, ...secrets], options);
		const path = join(workspace.home, '.s2ifile');
		expect(statSync(path).mode & 0o777).toBe(0o600);
		expect(readFileSync(path, 'utf8')).not.toContain('t0ken');
		const { stderr } = await build(workspace, ['--use-config', '-q'], options);
		expect(stderr).toContain('.s2ifile is used for --env --label --copy');
		const { config } = (await imageOf(workspace)).config;
		expect(config.Env).toEqual(expect.arrayContaining(['TINY_A=1,x', 'TINY_B=2']));
		expect(config.Labels).toMatchObject({ team: 'web' });
	});

	test('ignores a file that is not its own, and writes nothing when the arguments make no sense', async () => {
		const workspace = makeWorkspace();
		writeFileSync(join(workspace.home, '.s2ifile'), '{"flags": 7}');
		const options = { cwd: workspace.home };
		const failed = await s2oci(workspace, ['build', TINY_APP, builder(), '--use-config', '--run'], options);
		expect(failed.status).toBe(2);
		expect(readFileSync(join(workspace.home, '.s2ifile'), 'utf8')).toBe('{"flags": 7}');
		const { stderr } = await build(workspace, [TINY_APP, builder(), '--use-config', '--copy'], options);
		expect(stderr).toContain('.s2ifile is ignored: it is not what --use-config writes');
	});
});

describe('--run', () => {
	const source = () => makeSource({ '.s2i/bin/run': '#!/bin/sh\necho "running as $(id -u)"\nexit 3\n', 'a.txt': 'a' });

	test("runs the image after the build; the exit status is the program's", async () => {
		const workspace = makeWorkspace();
		const image = `oci:${workspace.root}/image:1`;
		const { status, stdout, result } = await s2oci(workspace, ['build', source(), builder(), image, '--run']);
		expect(stdout).toBe(`${image}@${String(result?.digest)}\nrunning as 1001\n`);
		expect(status).toBe(3);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('does not run what was not built', async () => {
		const workspace = makeWorkspace();
		const args = ['build', assembleSource('exit 9'), builder(), `oci:${workspace.root}/image:1`, '--run'];
		const { status, stdout } = await s2oci(workspace, args);
		expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
	});
});

describe('--loglevel 2', () => {
	test('describes the build without values of variables and without credentials of URLs', async () => {
		const options = ['--loglevel', '2', '-e', 'TINY_A=v4lue', '--callback-url', 'http://ada:s3cret@127.0.0.1:9/'];
		const { stderr } = await build(makeWorkspace(), [TINY_APP, builder(), '--copy', ...options]);
		expect(stderr).toContain(`Builder Image: ${builder()}\n`);
		expect(stderr).toContain('Environment: TINY_A\n');
		expect(stderr).toContain('Callback URL: http://127.0.0.1:9 (s2i)\n');
		expect(stderr).not.toMatch(/v4lue|s3cret/);
	});
});

describe('what s2i exits from with 0', () => {
	const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
		['an impossible pull policy', ['-p', 'sometimes'], /--pull-policy/],
		['--run with --as-dockerfile', ['reg.example/tag', '--run', '--as-dockerfile', 'x'], /--run and --as-dockerfile/],
		['--runtime-image with --as-dockerfile', ['--runtime-image', 'x', '--as-dockerfile', 'x'], /--runtime-image and/],
		[
			'--incremental with --runtime-image',
			['reg.example/tag', '--runtime-image', 'x', '--incremental'],
			/--incremental and/,
		],
		['a network of a daemon', ['--network', 'container:x'], /--network/],
		['a tag that is none', ['reg.example/UPPER'], /UPPER/],
		['a volume that is not there', ['-v', '/no/such/directory:/x'], /--volume/],
		['a relative volume', ['-v', '/tmp:x'], /--volume/],
		['an injection with odd characters', ['-i', '/tmp:/$x'], /--inject/],
	];

	test.each(cases)('%s ends with status 2, one clear line, and touches nothing', async (_what, options, said) => {
		const workspace = makeWorkspace();
		const { status, stdout, stderr }: Finished = await s2oci(workspace, ['build', TINY_APP, builder(), ...options]);
		expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
		expect(stderr).toMatch(/^error: .*\nhint: .*\n$/);
		expect(stderr).toMatch(said);
	});
});

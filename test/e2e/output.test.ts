import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { leftovers, makeWorkspace, requirePrograms } from '../support/host.js';
import { assembleSource, TINY_APP, tinyLayout, tinyRegistry, withTinyBuilder } from '../support/tiny.js';
import { withWorkerCode } from '../support/worker-code.js';

withTinyBuilder();

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const builder = (): string => `oci:${tinyLayout()}:latest`;

describe('stdout', () => {
	test('has exactly one line, whatever assemble prints, at any loglevel', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const args = [assembleSource('echo to-stdout; echo to-stderr >&2'), `${registry.host}/builders/tiny`];
		const { stdout, stderr, result } = await build(workspace, [
			...args,
			`${registry.host}/team/app`,
			'--loglevel',
			'5',
		]);
		expect(stdout).toBe(`${registry.host}/team/app:latest@${String(result.digest)}\n`);
		expect(stderr).toContain('to-stdout\n');
		expect(stderr).toContain('to-stderr\n');
	});

	test('has nothing when the build fails', async () => {
		const { stdout, status } = await s2oci(makeWorkspace(), ['build', assembleSource('exit 3'), builder()]);
		expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
	});
});

describe('files', () => {
	test('--digest-file has the digest, --result-file what was built', async () => {
		const workspace = makeWorkspace();
		const [digest, resultFile] = [join(workspace.root, 'digest'), join(workspace.root, 'result.json')];
		const args = ['build', TINY_APP, builder(), `oci:${workspace.root}/image:1`, '--copy'];
		const { status } = await s2oci(workspace, [...args, '--digest-file', digest, '--result-file', resultFile]);
		expect(status).toBe(0);
		expect(JSON.parse(readFileSync(resultFile, 'utf8'))).toEqual({
			success: true,
			name: `oci:${workspace.root}/image:1`,
			digest: readFileSync(digest, 'utf8'),
			configDigest: expect.stringMatching(DIGEST) as string,
			size: expect.any(Number) as number,
			builder: { name: builder(), digest: expect.stringMatching(DIGEST) as string },
			source: { location: expect.stringContaining('tiny') as string },
			layer: {
				digest: expect.stringMatching(DIGEST) as string,
				diffId: expect.stringMatching(DIGEST) as string,
				size: expect.any(Number) as number,
				added: expect.any(Number) as number,
				changed: expect.any(Number) as number,
				deleted: 1,
			},
			rung: {
				userNamespace: expect.any(String) as string,
				rootfs: 'overlay',
				number: expect.any(Number) as number,
				sandbox: expect.any(String) as string,
				reason: expect.any(String) as string,
			},
			bytes: {
				downloaded: expect.any(Number) as number,
				uploaded: expect.any(Number) as number,
				mounted: 0,
			},
			timings: expect.arrayContaining([{ stage: 'assemble', ms: expect.any(Number) as number }]) as object[],
			assemble: { exitCode: 0 },
		});
	});

	test('--result-file of a failed build says why, and has what was reached', async () => {
		const { result } = await s2oci(makeWorkspace(), ['build', assembleSource('exit 3'), builder()]);
		expect(result).toMatchObject({
			success: false,
			assemble: { exitCode: 3 },
			builder: { name: builder() },
			error: { code: 'ASSEMBLE_FAILED', hint: expect.stringMatching(/\w/) as string },
		});
		expect(result).not.toHaveProperty('digest');
		expect(result).not.toHaveProperty('layer');
	});

	test('that cannot be written make the build fail with status 3, before anything is built', async () => {
		const args = ['build', TINY_APP, builder(), '--copy', '--digest-file', '/nonexistent/digest'];
		const { status, stderr } = await s2oci(makeWorkspace(), args);
		expect(status).toBe(3);
		expect(stderr).toMatch(/^error: "\/nonexistent\/digest" cannot be written: ENOENT\nhint: /);
	});

	test('that cannot be written any more make the build fail with status 3', async () => {
		const workspace = makeWorkspace();
		const directory = join(workspace.root, 'out');
		mkdirSync(directory);
		chmodSync(workspace.root, 0o777);
		const volume = ['--volume', `${workspace.root}:/job`];
		const args = [
			'build',
			assembleSource('rmdir /job/out'),
			builder(),
			'--digest-file',
			join(directory, 'digest'),
			...volume,
		];
		const { status, stderr } = await s2oci(workspace, args);
		expect(stderr).toMatch(/^error: .*digest" cannot be written: ENOENT\nhint: The image itself is complete/m);
		expect(status).toBe(3);
	});
});

describe('stderr', () => {
	test('is JSON lines with --log-format json, the last of them the result', async () => {
		const source = assembleSource('echo text; printf "\\377"');
		const { stderr, result } = await build(makeWorkspace(), [source, builder(), '--log-format', 'json']);
		const events = stderr
			.trim()
			.split('\n')
			.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
		expect(events.at(-1)).toEqual({ type: 'result', ...result });
		expect(events).toContainEqual({ type: 'stage', stage: 'assemble', status: 'start' });
		expect(
			events
				.filter(({ type }) => type === 'output')
				.map(({ text }) => text)
				.join(''),
		).toBe('text\n\ufffd');
	});

	test('is JSON lines for a failure too', async () => {
		const { stderr } = await s2oci(makeWorkspace(), [
			'build',
			assembleSource('exit 3'),
			builder(),
			'--log-format=json',
		]);
		const types = stderr
			.trim()
			.split('\n')
			.map((line) => (JSON.parse(line) as { readonly type: string }).type);
		expect(types.slice(-2)).toEqual(['error', 'result']);
	});

	test("has only errors and assemble's own stderr with -q", async () => {
		const source = assembleSource('echo to-stdout; echo to-stderr >&2');
		const { stderr } = await build(makeWorkspace(), [source, builder(), '-q']);
		expect(stderr).toBe('to-stderr\n');
	});

	test('says more the higher the loglevel', async () => {
		const workspace = makeWorkspace();
		const lines = [];
		for (const level of ['0', '1', '5']) {
			const { stderr } = await build(workspace, [TINY_APP, builder(), '--copy', '--loglevel', level]);
			lines.push(stderr.split('\n').length);
		}
		expect(lines).toEqual([...lines].sort((a, b) => a - b));
		expect(lines[0]).toBeLessThan(Number(lines[2]));
	});

	test("on a terminal shows assemble's output whole and ends on a line of its own", async (context) => {
		requirePrograms(context, 'script');
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry({ slow: 100 })];
		const source = assembleSource('echo first; echo last');
		const args = ['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
		const { stdout, status } = await s2oci(workspace, args, {
			terminal: true,
			env: { TERM: 'xterm', SHELL: '/bin/sh' },
		});
		expect(status).toBe(0);
		expect(stdout).toMatch(/first\r\n[^]*last\r\n/);
		expect(stdout.slice(stdout.indexOf('built '))).not.toMatch(/#|\.{20}/);
		expect(stdout.slice(stdout.indexOf('pull took'))).not.toContain('unpack ');
		const shown = stdout.split('\r\n');
		expect(shown.at(-1)).toBe('');
		expect(shown.some((line) => /\x1b\[J.*built /.test(line) || line.startsWith('built '))).toBe(true);
		expect(stdout).not.toContain('\x1b[?25l');
	});
});

test.each(['| head -n 1', '2>&1 | head -n 1'])('a reader that goes away (%s) does not stop the build', async (pipe) => {
	const workspace = makeWorkspace();
	const source = assembleSource('for i in $(seq 3000); do echo "a long line of output, number $i"; done');
	const wrapper = ['sh', '-c', `"$@" ${pipe}`, 'sh'];
	const { stderr, stdout, result } = await s2oci(workspace, ['build', source, builder()], { wrapper });
	expect(stderr + stdout).not.toMatch(/EPIPE|^\s+at /m);
	expect(result?.success).toBe(true);
	expect(await leftovers(workspace)).toEqual([]);
});

test('a clean-up that takes long says so, and the build is none the worse for it', async () => {
	const workspace = makeWorkspace();
	const wait = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 7000)';
	const slow = `process.prependListener('message', (message) => message.call === 'close' && ${wait});`;
	const program = withWorkerCode(workspace, slow);
	const { status, stderr } = await s2oci(workspace, ['build', TINY_APP, builder()], { program });
	expect(status).toBe(0);
	expect(stderr).toContain(`still removing what the build made in ${workspace.store}; if stopped, the next build does`);
	expect(await leftovers(workspace)).toEqual([]);
});

describe('usage errors', () => {
	test.each([
		[['build'], /source/],
		[['build', TINY_APP], /builder/],
		[['build', TINY_APP, 'quay.io/UPPER/case'], /UPPER/],
		[['build', TINY_APP, 'a/b', '--isolation', 'docker'], /--isolation/],
		[['build', TINY_APP, 'a/b', '--no-such-option'], /--no-such-option/],
		[['bulid'], /Did you mean s2oci build/],
	])('%j end with status 2 and touch nothing', async (args, said) => {
		const workspace = makeWorkspace();
		const { status, stderr, stdout } = await s2oci(workspace, args);
		expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
		expect(stderr).toMatch(said);
		expect(stderr).toMatch(/^error: .*\nhint: .*\n$/);
	});
});

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type BuildArguments, readBuildRequest } from '../../../src/cli/build-request.js';
import { checkCombination, checkFiles } from '../../../src/cli/check-request.js';
import { command as buildCommand } from '../../../src/cli/commands/build.js';
import { describeRequest } from '../../../src/cli/describe-request.js';
import { parseCommand } from '../../../src/cli/parse-command.js';
import type { BuildEvent } from '../../../src/pipeline/events.js';
import type { BuildRequest } from '../../../src/pipeline/request.js';
import { SPELLINGS } from '../../support/credentials.js';
import { temporaryDirectory } from '../../support/fs.js';
import { runMain } from './io.js';

async function read(
	argv: readonly string[],
	env: Readonly<Record<string, string>> = {},
): Promise<{ readonly args: BuildArguments; readonly request: BuildRequest }> {
	const reading = { env: { HOME: '/home/ada', TOKEN: 't0ken', ...env } };
	const parsed = await parseCommand(buildCommand, ['.', 'img', ...argv], reading);
	if (parsed.type === 'help') throw new Error('help');
	const context = { ...reading, program: 's2oci', emit: () => undefined } as const;
	return { args: parsed.value, request: readBuildRequest(parsed.value, context) };
}

async function warnings(line: string): Promise<readonly string[]> {
	const { args, request } = await read(line === '' ? [] : line.split(' '));
	const events: BuildEvent[] = [];
	checkCombination(args, request, (event) => events.push(event));
	return events.map((event) => (event.type === 'warning' ? event.message : event.type));
}

test.each([
	['tag --run --as-dockerfile x', '--run and --as-dockerfile exclude each other'],
	['tag --runtime-image x --as-dockerfile x', '--runtime-image and --as-dockerfile exclude each other'],
	['reg.example/tag --runtime-image x --incremental', '--incremental and --runtime-image exclude each other'],
	['--run', '--run needs an image to run'],
])('%j makes no sense, and exits with 2 before anything is done', async (line, message) => {
	const { status, stdout, stderr } = await runMain(['build', '.', 'img', ...line.split(' ')]);
	expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
	expect(stderr).toMatch(/^error: .*\nhint: .*\n$/);
	expect(stderr).toContain(message);
});

test.each([
	['tag --incremental --runtime-image x --cache-from oci:c', []],
	['tag --incremental', []],
	['--incremental --cache-from oci:c', []],
	[
		'--incremental',
		['--incremental has no effect without a tag, --previous-image or --cache-from: the build is clean'],
	],
	['--runtime-artifact /x', ['--runtime-artifact has no effect without --runtime-image']],
	['--assemble-runtime-user 1', ['--assemble-runtime-user has no effect without --runtime-image']],
	['--image-scripts-url image:///x', ['--image-scripts-url has no effect without --as-dockerfile']],
])('%j warns of %j', async (line, expected) => {
	expect(await warnings(line)).toEqual(expected);
});

test('inputs that are there are fine', async () => {
	using directory = temporaryDirectory();
	writeFileSync(join(directory.path, 'file'), '');
	const path = join(directory.path, 'file');
	const secrets = ['--secret', `id=a,src=${path}`, '--secret', 'id=b,env=TOKEN'];
	const { request } = await read(['-i', path, '-v', `${directory.path}:/x`, '-E', path, ...secrets]);
	await expect(checkFiles(request, { digestFile: undefined, resultFile: undefined })).resolves.toBeUndefined();
});

test.each([
	['-i /no/such/file:/x', '--inject: there is no "/no/such/file"'],
	['-v /no/such/file:/x', '--volume: there is no "/no/such/file"'],
	['-E /no/such/file', '--environment-file: there is no "/no/such/file"'],
	['--secret id=a,src=/no/such/file', '--secret: there is no "/no/such/file"'],
	['--secret id=NOT_SET', '--secret id=NOT_SET: the variable NOT_SET is not set'],
	['--dockercfg-path /no/such/file', '--dockercfg-path: there is no "/no/such/file"'],
	['--ca-bundle /no/such/file', '--ca-bundle: there is no "/no/such/file"'],
])('%j is refused when it is not there', async (line, message) => {
	const { request } = await read(line.split(' '));
	await expect(checkFiles(request, { digestFile: undefined, resultFile: undefined })).rejects.toMatchObject({
		code: 'USAGE',
		message,
	});
});

test.each([
	['-E', '--environment-file'],
	['--dockercfg-path', '--dockercfg-path'],
	['--ca-bundle', '--ca-bundle'],
])('what is no file is refused for %s before anything runs', async (option, name) => {
	using directory = temporaryDirectory();
	const pipe = join(directory.path, 'pipe');
	execFileSync('mkfifo', [pipe]);
	for (const [path, what] of [
		[pipe, 'a pipe, which can be read once only'],
		['/dev/zero', 'a device'],
		[directory.path, 'a directory'],
	] as const) {
		const { request } = await read([option, path]);
		await expect(checkFiles(request, { digestFile: undefined, resultFile: undefined })).rejects.toMatchObject({
			code: 'USAGE',
			message: `${name}: "${path}" cannot be used: it is ${what}`,
			hint: expect.stringContaining('Name a file.') as string,
		});
	}
	const { request } = await read([option, '/dev/null']);
	await expect(checkFiles(request, { digestFile: undefined, resultFile: undefined })).resolves.toBeUndefined();
});

test.each(['build . img', 'rebuild reg.example/app', 'run img', 'usage img', 'generate img /tmp/Dockerfile', 'doctor'])(
	'%s says at once that the file of --ca-bundle is not there',
	async (line) => {
		const { status, stdout, stderr } = await runMain([...line.split(' '), '--ca-bundle', '/no/such/file']);
		expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
		expect(stderr).toMatch(/^error: --ca-bundle: there is no "\/no\/such\/file"\nhint: .*\n$/);
	},
);

test('certificate authorities that the environment names may be missing until they are wanted', async () => {
	const { request } = await read([], { SSL_CERT_FILE: '/no/such/file' });
	expect(request.host.caBundle).toBe('/no/such/file');
	await expect(checkFiles(request, { digestFile: undefined, resultFile: undefined })).resolves.toBeUndefined();
});

test('the description of a build has everything that was asked for, and no value of a variable', async () => {
	const line =
		'reg.example/app --copy -e A=v4lue --build-env B=v4lue --secret id=npm,env=TOKEN --label c=v4lue -i /in:/out -v /d:/e:ro ' +
		'--network none --memory 512m --timeout 90s -u 1-,5 --callback-url https://ci.example/ --incremental -s image:///x';
	const { request } = await read(line.split(' '));
	const lines = describeRequest(request);
	expect(lines).toEqual(
		expect.arrayContaining([
			'Builder Image: docker.io/library/img:latest',
			'Output Image: reg.example/app:latest',
			'Source: .',
			'Source Options: copy',
			'Environment: A',
			'Build Environment: B',
			'Secrets: npm',
			'Labels: c',
			'Injections: /in:/out',
			'Bind Mounts: /d:/e:ro',
			'Network: none',
			'Memory: 537 MB',
			'Assemble Timeout: 1 min 30 s',
			'Allowed UIDs: 1-,5-5',
			'Incremental Build: enabled',
			'Callback URL: https://ci.example (s2i)',
			'S2I Scripts URL: image:///x',
		]),
	);
	expect(lines.join('\n')).not.toMatch(/v4lue|t0ken|undefined/);
});

test('no spelling of an image with a password, and no path of a web hook, is shown', async () => {
	const shown = async (...argv: readonly string[]) => {
		const { stdout, stderr } = await runMain(['build', ...argv]);
		return stdout + stderr;
	};
	for (const spell of SPELLINGS) {
		const word = spell('user', 'PW REST');
		expect(await shown('.', word, 'oci:./x')).not.toContain('PW');
		expect(await shown('.', 'oci:./x', word)).not.toContain('PW');
		expect(await shown('.', 'oci:./x', 'reg.example/app', '--callback-url', `${word}/HOOK`)).not.toMatch(/PW|HOOK/);
	}
	const { request } = await read(['--copy']);
	const source = 'user:PW REST@host/app';
	const callback = { url: 'https://user:PW/x@host/HOOK', format: 's2i' } as const;
	const lines = describeRequest({
		...request,
		source: { ...request.source, location: source },
		scripts: { ...request.scripts, scriptsUrl: `http://${source}` },
		output: { ...request.output, callback },
	}).join('\n');
	expect(lines).not.toMatch(/PW|REST|HOOK/);
	expect(lines).toContain('Source: [redacted]@host/app');
});

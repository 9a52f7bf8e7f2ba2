import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readBuildRequest, readDockerfileRequest } from '../../../src/cli/build-request.js';
import { command as buildCommand } from '../../../src/cli/commands/build.js';
import { command as generateCommand, readGenerateRequest } from '../../../src/cli/commands/generate.js';
import { readRebuildRequest, command as rebuildCommand } from '../../../src/cli/commands/rebuild.js';
import { readRunRequest, command as runCommand } from '../../../src/cli/commands/run.js';
import { readUsageRequest, command as usageCommand } from '../../../src/cli/commands/usage.js';
import { parseCommand } from '../../../src/cli/parse-command.js';
import { temporaryDirectory } from '../../support/fs.js';
import { argumentsOf, runMain } from './io.js';

const quiet = { env: { HOME: '/home/ada' }, program: 's2oci', emit: () => undefined } as const;

test('--as-dockerfile keeps the slash that means a directory', async () => {
	const args = await argumentsOf(buildCommand, ['.', 'img', '--as-dockerfile', '/out/']);
	expect(readDockerfileRequest(args, readBuildRequest(args, quiet))).toMatchObject({
		path: '/out/',
		build: { source: { location: '.' } },
	});
});

test('generate has a builder and a path, and no source', async () => {
	const args = await argumentsOf(generateCommand, 'img /out -eA=1 --image-scripts-url image:///s'.split(' '));
	const request = readGenerateRequest(args, quiet);
	expect(request).not.toHaveProperty('build');
	expect(request).toMatchObject({
		path: '/out',
		imageScriptsUrl: 'image:///s',
		variables: { environment: [{ name: 'A', value: '1' }] },
	});
});

test('rebuild replaces the image unless it gets another name', async () => {
	const read = async (line: string) => readRebuildRequest(await argumentsOf(rebuildCommand, line.split(' ')), quiet);
	expect((await read('oci:a:1')).output.targets).toEqual([{ type: 'oci', path: 'a', ref: '1' }]);
	expect((await read('oci:a:1 oci:b -o oci:c')).output.targets).toEqual([
		{ type: 'oci', path: 'b' },
		{ type: 'oci', path: 'c' },
	]);
	const pinned = `reg.example/app@sha256:${'0'.repeat(64)}`;
	await expect(read(pinned)).rejects.toMatchObject({ code: 'USAGE' });
	expect((await read(`${pinned} oci:b`)).output.targets).toHaveLength(1);
});

test('usage has an image, scripts and variables', async () => {
	const args = await argumentsOf(usageCommand, 'img -s image:///s -d /opt -eA=1 -p never'.split(' '));
	expect(readUsageRequest(args, quiet)).toMatchObject({
		scripts: { scriptsUrl: 'image:///s', destination: '/opt' },
		pullPolicy: 'never',
		environment: [{ name: 'A', value: '1' }],
	});
});

test('what stands behind -- replaces the command of s2oci run', async () => {
	const parsed = await parseCommand(runCommand, ['-eA=1', 'img', '--', 'node', '--version'], { takesRest: true });
	if (parsed.type === 'help') throw new Error('help');
	expect(readRunRequest(parsed.value, parsed.rest, quiet)).toMatchObject({
		args: ['node', '--version'],
		environment: [{ name: 'A', value: '1' }],
	});
});

test.each(['store', 'prune'])('%s says that there is no store, makes none, and ends with 0', async (command) => {
	using directory = temporaryDirectory();
	const path = join(directory.path, 'nostore');
	const stdout = `store ${path}: there is no such directory; the first build that uses it makes it\n`;
	expect(await runMain([command, '--store', path])).toEqual({ status: 0, stdout, stderr: '' });
	const printed: unknown = JSON.parse((await runMain([command, '--store', path, '--json'])).stdout);
	expect(printed).toMatchObject({ store: path, exists: false });
	expect(existsSync(path)).toBe(false);
});

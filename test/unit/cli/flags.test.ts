import { describe, expect, test } from 'vitest';
import { buildCommand } from '../../../src/cli/build-command.js';
import { grammars } from '../../../src/cli/grammars.js';
import { parseCommand } from '../../../src/cli/parse-command.js';
import { completeBuild } from '../../../src/cli/run-build.js';
import { runMain } from './io.js';

/** Every option of `s2i`, with a value when it takes one: spec sections 1.2 to 1.4. */
const SHARED = [
	['-q'],
	['--quiet'],
	['--loglevel', '2'],
	['-p', 'never'],
	['--pull-policy', 'if-not-present'],
	['--dockercfg-path', '/x'],
	['-d', '/x'],
	['--destination', '/x'],
	['-l', '/x'],
	['--location', '/x'],
];
const BUILD = [
	...SHARED,
	['--incremental'],
	['--rm'],
	['--callback-url', 'http://x/'],
	['--incremental-pull-policy', 'always'],
	['--runtime-pull-policy', 'always'],
	['--save-temp-dir'],
	['--run'],
	['--ignore-submodules'],
	['-e', 'A=1'],
	['--env', 'A=1'],
	['-E', '/x'],
	['--environment-file', '/x'],
	['-r', 'main'],
	['--ref', 'main'],
	['--context-dir', 'x'],
	['-c'],
	['--copy'],
	['--keep-symlinks'],
	['--exclude', 'x'],
	['-s', 'image:///x'],
	['--scripts-url', 'image:///x'],
	['--scripts', 'image:///x'],
	['--image-scripts-url', 'image:///x'],
	['--assemble-user', '1'],
	['--assemble-runtime-user', '1'],
	['-u', '1-'],
	['--allowed-uids', '1-'],
	['-n', 'x'],
	['--application-name', 'x'],
	['--description', 'x'],
	['-i', '/x'],
	['--inject', '/x'],
	['-v', '/x:/x'],
	['--volume', '/x:/x'],
	['--cap-drop', 'KILL'],
	['--network', 'host'],
	['--add-host', 'a:1.2.3.4'],
	['--runtime-image', 'x'],
	['-a', '/x'],
	['--runtime-artifact', '/x'],
	['--as-dockerfile', '/x'],
	['--use-config'],
];

function optionNames(command: string): readonly string[] {
	const found = grammars.find(({ name }) => name === command);
	return (found?.options ?? []).flatMap(({ long, short }) => [
		`--${long}`,
		...(short === undefined ? [] : [`-${short}`]),
	]);
}

describe('options of s2i', () => {
	test.each(BUILD)('build takes %s', async (...option) => {
		const parsed = await parseCommand(buildCommand, ['.', 'img', ...option]);
		expect(parsed.type).toBe('arguments');
	});

	test.each(['rebuild', 'usage'])('%s takes or refuses with a reason what s2i shares with it', async (command) => {
		for (const [option = ''] of BUILD.slice(
			0,
			BUILD.findIndex(([each]) => each === '--run'),
		)) {
			if (optionNames(command).includes(option) || ['-l', '--location'].includes(option)) continue;
			const { status, stderr } = await runMain([command, 'img', option]);
			expect({ command, option, status }).toEqual({ command, option, status: 2 });
			expect(stderr).toMatch(/does not take --[a-z-]+: \w/);
		}
	});

	test('generate takes those that s2i gives it', () => {
		expect(optionNames('generate')).toEqual(
			expect.arrayContaining(['-q', '-e', '--assemble-user', '--assemble-runtime-user']),
		);
	});

	test.each(['-U', '--url', '--cert', '--key', '--ca', '--tls', '--tlsverify'])(
		'%s, for a Docker daemon, is refused with a reason, wherever it stands',
		async (option) => {
			for (const argv of [
				['build', '.', 'img', option, 'x'],
				['build', '.', 'img', option.startsWith('--') ? `${option}=x` : `${option}x`],
				[option, 'x', 'build', '.', 'img'],
				['usage', 'img', option],
			]) {
				const { status, stdout, stderr } = await runMain(argv);
				expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
				expect(stderr).toMatch(
					new RegExp(`^error: s2oci .*does not take ${option}.*: s2oci talks to no Docker daemon.*\nhint: .*\n$`),
				);
			}
		},
	);

	test('--ca leads to --ca-bundle', async () => {
		expect((await runMain(['build', '.', 'img', '--ca', 'x'])).stderr).toContain('--ca-bundle');
	});

	test('--loglevel may stand before the command', async () => {
		for (const argv of [['--loglevel', '9'], ['--loglevel=9']]) {
			expect((await runMain([...argv, 'build', '.', 'img'])).stderr).toContain('--loglevel does not take "9"');
		}
	});

	test('no two options of a command have the same name', () => {
		for (const { name, options } of grammars) {
			const names = options.flatMap(({ long, short }) => [long, ...(short === undefined ? [] : [short])]);
			expect({ name, names: [...new Set(names)] }).toEqual({ name, names });
		}
	});
});

describe('deprecated options', () => {
	test.each([
		[['--scripts', 'image:///x'], { scriptsUrl: 'image:///x' }],
		[['-l', '/x'], { destination: '/x' }],
		[['-l/x'], { destination: '/x' }],
		[['--location=/x'], { destination: '/x' }],
		[['--callbackUrl', 'http://x/'], { callbackUrl: 'http://x/' }],
		[['--contextDir=web'], { contextDir: 'web' }],
		[['--savetempdir'], { saveTempDir: true }],
		[['--forcePull'], { pullPolicy: 'always' }],
		[['--forcePull=false'], { pullPolicy: undefined }],
		[['--incremental', '--clean'], { incremental: false }],
	])('%j still work, with a notice', async (options, expected) => {
		const parsed = await parseCommand(buildCommand, ['.', 'img', ...options]);
		expect(parsed).toMatchObject({ value: expected, notices: [expect.stringMatching(/^--?\w+ is deprecated: /)] });
	});

	test.each([['--verbose'], ['-m', 'run'], ['--method=build'], ['--dir', 'x']])(
		'%s is only for sti',
		async (...options) => {
			await expect(parseCommand(buildCommand, ['.', 'img', ...options])).rejects.toMatchObject({ code: 'USAGE' });
			const parsed = await parseCommand(buildCommand, ['.', 'img', ...options], { program: 'sti' });
			expect(parsed).toMatchObject({ notices: [expect.stringContaining('deprecated')] });
		},
	);
});

describe('builds of sti', () => {
	const tagged = ['src', 'img', 'tag'].map((value) => ({ type: 'positional', value }) as const);
	const incremental = (on: boolean) => ({ type: 'flag', long: 'incremental', on }) as const;

	test('are incremental unless they are told otherwise, when there is a tag', async () => {
		expect((await completeBuild(tagged, 'sti')).words).toEqual([...tagged, incremental(true)]);
		expect((await completeBuild([...tagged, incremental(false)], 'sti')).words).toEqual([
			...tagged,
			incremental(false),
		]);
		expect((await completeBuild(tagged.slice(0, 2), 'sti')).words).toEqual(tagged.slice(0, 2));
		expect((await completeBuild(tagged, 's2i')).words).toEqual(tagged);
	});
});

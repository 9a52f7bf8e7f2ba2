import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { command as buildCommand, completeBuild } from '../../../src/cli/commands/build.js';
import { completionOf } from '../../../src/cli/commands/completion.js';
import { command as createCommand } from '../../../src/cli/commands/create.js';
import { command as generateCommand } from '../../../src/cli/commands/generate.js';
import { command as rebuildCommand } from '../../../src/cli/commands/rebuild.js';
import { command as usageCommand } from '../../../src/cli/commands/usage.js';
import { loadCompleted } from '../../../src/cli/commands.js';
import { withEnvironment } from '../../../src/cli/io.js';
import type { ArgumentTree, Grammar } from '../../../src/cli/options.js';
import { openReport } from '../../../src/cli/outcome.js';
import { type ParsedArguments, parseCommand } from '../../../src/cli/parse-command.js';
import type { ProgramName } from '../../../src/cli/words.js';
import { COMMANDS, GLOBAL, type S2iOption } from '../../support/s2i-options.js';
import { argumentsOf, runMain } from './io.js';

const grammars = await loadCompleted();

const COMMANDS_OF_S2I: Readonly<Record<string, Grammar<ArgumentTree>>> = {
	build: buildCommand,
	rebuild: rebuildCommand,
	usage: usageCommand,
	generate: generateCommand,
	create: createCommand,
	completion: completionOf(loadCompleted),
};

interface Line extends ParsedArguments<ArgumentTree> {
	/** The warnings. */
	readonly notices: readonly { readonly code: string; readonly message: string }[];
}

/** Reads a command line of S2I. */
async function parsed(name: string, argv: readonly string[], program: ProgramName): Promise<Line> {
	const grammar = COMMANDS_OF_S2I[name];
	if (grammar === undefined) throw new Error(`there is no ${name}`);
	const result = await parseCommand(grammar, argv, { program });
	if (result.type !== 'arguments') throw new Error(`${name} was not read`);
	const notices = result.events.flatMap((event) =>
		event.type === 'warning' && !event.message.startsWith('the name sti ')
			? [{ code: event.code, message: event.message }]
			: [],
	);
	return { ...result, notices };
}

/** Every spelling that pflag has for `option`. */
function spellings({ long, short, value }: S2iOption): readonly (readonly string[])[] {
	if (value === undefined) return [[`--${long}`], [`--${long}=true`], ...(short === undefined ? [] : [[`-${short}`]])];
	const shorts = short === undefined ? [] : [[`-${short}`, value], [`-${short}${value}`], [`-${short}=${value}`]];
	return [[`--${long}`, value], [`--${long}=${value}`], ...shorts];
}

const every = COMMANDS.flatMap(({ name, args, options }) =>
	[...options, ...GLOBAL].map((option) => ({ name, args, option, long: option.long })),
);

describe('options of s2i', () => {
	test.each(every)('$name takes --$long in every spelling, before and behind its arguments', async (each) => {
		const { name, args, option } = each;
		for (const program of ['s2oci', 's2i', 'sti'] as const) {
			for (const words of spellings(option)) {
				await expect(parsed(name, [...words, ...args], program)).resolves.toBeDefined();
				await expect(parsed(name, [...args, ...words], program)).resolves.toBeDefined();
			}
		}
	});

	test.each(GLOBAL)('--$long may stand before the command, in every spelling', async (option) => {
		for (const words of spellings(option)) {
			const { status, stdout, stderr } = await runMain([...words, 'build', '--log-format', 'xml', '.', 'img']);
			expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
			expect(stderr).toContain('--log-format does not take "xml"');
			for (const command of ['version', 'help']) expect((await runMain([...words, command])).status).toBe(0);
			expect((await runMain([...words, 'help', 'build'])).stdout).toContain('Usage: s2oci build');
			expect((await runMain([...words, 'completion', 'bash'])).stdout).toContain('complete -F');
		}
	});

	test.each(GLOBAL.filter(({ long }) => long !== 'loglevel'))(
		'--$long, which is for a daemon, has no effect and says why',
		async ({ long, value }) => {
			const line = ['.', 'img', `--${long}`, ...(value === undefined ? [] : [value])];
			expect((await parsed('build', line, 's2oci')).notices).toEqual([
				{ code: 'WITHOUT_EFFECT', message: expect.stringMatching(`^--${long} has no effect: .+`) as string },
			]);
		},
	);

	test('those that usage has only because build has them have no effect', async () => {
		const flags = ['--incremental', '--rm', '--save-temp-dir'];
		const values = ['--callback-url', '--incremental-pull-policy', '--runtime-pull-policy'];
		for (const argv of [...flags.map((each) => [each]), ...values.map((each) => [each, 'x'])]) {
			const { value, notices } = await parsed('usage', ['img', ...argv], 's2i');
			expect(value).toMatchObject({ image: 'img' });
			expect(notices).toEqual([
				{
					code: 'WITHOUT_EFFECT',
					message: expect.stringMatching(`^${String(argv[0])} has no effect: usage`) as string,
				},
			]);
		}
	});

	test('-U is the DOCKER_HOST of programs', async () => {
		const { env } = await parsed('build', ['.', 'img', '-U', 'tcp://a:1', '--url=tcp://b:2'], 's2i');
		expect(env).toEqual({ DOCKER_HOST: 'tcp://b:2' });
	});

	test('an environment of options leaves all else of the command as it was, also what nobody caught', () => {
		const { signal } = new AbortController();
		const fault = { signal, take: () => new Error('oops'), overdue: Promise.resolve(undefined) };
		const { stdout, stderr } = process;
		const io = { stdout, stderr, env: { A: '1' }, argv: ['node', 's2i'], signal, fault };
		expect(withEnvironment(io, { B: '2' })).toEqual({ ...io, env: { B: '2' } });
	});

	test('--ca leads to --ca-bundle', async () => {
		const { notices } = await parsed('build', ['.', 'img', '--ca', 'x'], 's2i');
		expect(notices[0]?.message).toContain('--ca-bundle');
	});

	test.each([
		['9', ['0', '1', '5']],
		['0', ['0']],
		['-1', ['0']],
	])('--loglevel %s is the nearest there is', async (loglevel, shown) => {
		const written: string[] = [];
		const stderr = new Writable({
			write: (chunk: Buffer, _encoding, done) => {
				written.push(chunk.toString().trim());
				done();
			},
		});
		const { report } = await argumentsOf(buildCommand, ['.', 'img', '--loglevel', loglevel]);
		const { emit } = await openReport(report, { stdout: stderr, stderr, env: {} });
		for (const level of [0, 1, 5] as const) emit({ type: 'log', level, message: String(level) });
		expect(written).toEqual(shown);
	});

	test('no word is a --loglevel', async () => {
		const { status, stderr } = await runMain(['build', '.', 'img', '--loglevel', 'x']);
		expect(status).toBe(2);
		expect(stderr).toContain('--loglevel does not take "x"');
	});

	test('no two options of a command have the same name', () => {
		for (const { name, options } of grammars) {
			const names = options.flatMap(({ long, short }) => [long, ...(short === undefined ? [] : [short])]);
			expect({ name, names: [...new Set(names)] }).toEqual({ name, names });
		}
	});
});

describe('of an option that takes one value', () => {
	test.each([
		[['-r', 'a', '--ref', 'b'], { selection: { ref: 'b' } }, '--ref'],
		[['-p', 'never', '--pull-policy=always'], { pullPolicy: 'always' }, '--pull-policy'],
		[['--scripts', 'image:///a', '-s', 'image:///b'], { scripts: { scriptsUrl: 'image:///b' } }, '--scripts-url'],
		[['--loglevel', '1', '--loglevel', '2'], { report: { loglevel: 2 } }, '--loglevel'],
		[
			['--platform', 'linux/amd64', '--platform', 'linux/arm64'],
			{ host: { platform: { os: 'linux', architecture: 'arm64' } } },
			'--platform',
		],
	])('the last one counts, with a notice: %j', async (options, value, name) => {
		for (const program of ['s2oci', 's2i'] as const) {
			const found = await parsed('build', ['.', 'img', ...options], program);
			expect(found.value).toMatchObject(value);
			expect(found.notices).toContainEqual({
				code: 'REPEATED',
				message: `${name} is given more than once: the last one counts`,
			});
		}
	});

	test('the same twice is worth no word, and lists keep all', async () => {
		const found = await parsed('build', ['.', 'img', '-r', 'a', '-r', 'a', '-eA=1', '-eA=2'], 's2i');
		const environment = ['1', '2'].map((value) => ({ name: 'A', value }));
		expect(found).toMatchObject({ value: { selection: { ref: 'a' }, variables: { environment } }, notices: [] });
	});

	test.each(['digest-file', 'result-file'])(
		'two of --%s are a mistake: one file would never be written',
		async (name) => {
			const { status, stderr } = await runMain(['build', '.', 'img', `--${name}=a`, `--${name}=b`]);
			expect({ status, stderr }).toEqual({
				status: 2,
				stderr: `error: --${name} is given more than once\nhint: See s2oci build --help.\n`,
			});
		},
	);
});

describe('arguments', () => {
	test('may stand behind --', async () => {
		const { value } = await parsed('build', ['-r', 'a', '--', '-source', 'img', 'tag'], 's2oci');
		expect(value).toMatchObject({ source: '-source', builder: 'img', tag: 'tag', selection: { ref: 'a' } });
	});

	test.each([
		['build', ['.', 'img', 'tag', 'more', 'words']],
		['rebuild', ['img', 'tag', 'more']],
		['usage', ['img', 'more']],
		['create', ['img', 'x', 'more']],
	])('that are too many for %s are passed over under the name s2i, with a notice', async (name, argv) => {
		expect((await parsed(name, argv, 's2i')).notices).toEqual([
			{ code: 'WITHOUT_EFFECT', message: expect.stringMatching(/^what follows the \d arguments of /) as string },
		]);
		await expect(parsed(name, argv, 's2oci')).rejects.toMatchObject({ code: 'USAGE' });
	});
});

describe('deprecated options', () => {
	test.each([
		[['--scripts', 'image:///x'], { scripts: { scriptsUrl: 'image:///x' } }],
		[['-l', '/x'], { scripts: { destination: '/x' } }],
		[['-l/x'], { scripts: { destination: '/x' } }],
		[['--location=/x'], { scripts: { destination: '/x' } }],
		[['--callbackUrl', 'http://x/'], { output: { callback: { url: 'http://x/' } } }],
		[['--contextDir=web'], { selection: { contextDir: 'web' } }],
		[['--savetempdir'], { output: { making: { saveTempDir: true } } }],
		[['--forcePull'], { pullPolicy: 'always' }],
		[['--forcePull=false'], { pullPolicy: 'check' }],
		[['--incremental', '--clean'], { incremental: { enabled: false } }],
	])('%j still work, with a notice', async (options, expected) => {
		expect(await parsed('build', ['.', 'img', ...options], 's2oci')).toMatchObject({
			value: expected,
			notices: [{ code: 'DEPRECATED', message: expect.stringMatching(/^--?\w+ is deprecated: /) as string }],
		});
	});

	test.each([['--verbose'], ['-m', 'run'], ['--method=build'], ['--dir', 'x']])(
		'%s is only for sti',
		async (...options) => {
			await expect(parsed('build', ['.', 'img', ...options], 's2oci')).rejects.toMatchObject({ code: 'USAGE' });
			expect((await parsed('build', ['.', 'img', ...options], 'sti')).notices).toEqual([
				{ code: 'DEPRECATED', message: expect.stringContaining('deprecated') as string },
			]);
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

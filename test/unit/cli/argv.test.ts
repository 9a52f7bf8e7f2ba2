import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type OptionNames, splitArguments } from '../../../src/cli/argv.js';
import { closest } from '../../../src/cli/closest.js';

const names: OptionNames = {
	command: 'build',
	options: new Set(['env', 'e', 'ref', 'r']),
	flags: new Set(['copy', 'c', 'quiet', 'q']),
};

test.each([
	['-eA=1', ['-e=A=1']],
	['-e=A=1', ['-e=A=1']],
	['-e A=1', ['-e=A=1']],
	['--env A=1', ['--env=A=1']],
	['--env=A=1 x', ['--env=A=1', 'x']],
	['-cq', ['-c', '-q']],
	['-cqeA=1', ['-c', '-q', '-e=A=1']],
	['-e -A', ['-e=-A']],
	['--env --copy', ['--env=--copy']],
	['--ref= x', ['--ref=', 'x']],
	['- x', ['-', 'x']],
])('%j is read as pflag reads it', (line, args) => {
	expect(splitArguments(line.split(' '), names)).toEqual({ args, rest: undefined });
});

test('what stands behind -- is left alone', () => {
	expect(splitArguments(['img', '--', '-x', '--', 'y'], names)).toEqual({ args: ['img'], rest: ['-x', '--', 'y'] });
});

test('every value survives every spelling', () => {
	const value = fc.string({ unit: 'grapheme' }).filter((text) => text !== '--' && !text.startsWith('='));
	fc.assert(
		fc.property(value, (text) => {
			expect(splitArguments(['--env', text], names).args).toEqual([`--env=${text}`]);
			expect(splitArguments([`--env=${text}`], names).args).toEqual([`--env=${text}`]);
			if (text !== '') expect(splitArguments([`-e${text}`], names).args).toEqual([`-e=${text}`]);
		}),
	);
});

test.each([
	['outptu', 'output'],
	['evn', 'env'],
	['context', undefined],
	['zzzz', undefined],
])('the nearest to %j is %j', (word, expected) => {
	expect(closest(word, ['output', 'env', 'context-dir', 'copy'])).toBe(expected);
});

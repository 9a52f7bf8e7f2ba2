import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type OptionNames, splitArguments } from '../../../src/cli/argv.js';
import { flag as flagOption, list, option, optionsOf } from '../../../src/cli/options.js';
import { closest } from '../../../src/cli/values.js';
import type { Word } from '../../../src/cli/words.js';
import { argumentsOf } from './io.js';

const grammar = {
	name: 'build',
	description: '',
	examples: [],
	args: {
		environment: list('env', 'NAME=VALUE', '', { short: 'e' }),
		ref: option('ref', 'REF', '', { short: 'r' }),
		copy: flagOption('copy', '', 'c'),
		quiet: flagOption('quiet', '', 'q'),
	},
};
const names: OptionNames = {
	command: 'build',
	program: 's2oci',
	options: optionsOf(grammar),
	withoutEffect: new Map(),
};
const env = (value: string): Word => ({ type: 'option', long: 'env', value });
const flag = (long: string, on = true): Word => ({ type: 'flag', long, on });
const word = (value: string): Word => ({ type: 'positional', value });

test.each<[string, readonly Word[]]>([
	['-eA=1', [env('A=1')]],
	['-e=A=1', [env('A=1')]],
	['-e A=1', [env('A=1')]],
	['--env A=1', [env('A=1')]],
	['--env=A=1 x', [env('A=1'), word('x')]],
	['-cq', [flag('copy'), flag('quiet')]],
	['-cqeA=1', [flag('copy'), flag('quiet'), env('A=1')]],
	['-e -A', [env('-A')]],
	['--env --copy', [env('--copy')]],
	['--env --help', [env('--help')]],
	['--ref= x', [{ type: 'option', long: 'ref', value: '' }, word('x')]],
	['--copy=true', [flag('copy')]],
	['--copy=0', [flag('copy', false)]],
	['-c=false', [flag('copy', false)]],
	['- x', [word('-'), word('x')]],
])('%j is read as pflag reads it', (line, words) => {
	expect(splitArguments(line.split(' '), names)).toEqual({ words, rest: undefined, notices: [], env: {} });
});

test('what stands behind -- is left alone', () => {
	expect(splitArguments(['img', '--', '-x', '--', 'y'], names)).toMatchObject({
		words: [word('img')],
		rest: ['-x', '--', 'y'],
	});
});

test('of several flags of one name the last counts', async () => {
	expect(await argumentsOf(grammar, ['--copy', '--copy=false'])).toMatchObject({ copy: false });
	expect(await argumentsOf(grammar, ['--copy=false', '-c'])).toMatchObject({ copy: true });
});

test('every value survives every spelling', () => {
	const value = fc.string({ unit: 'grapheme' }).filter((text) => text !== '--' && !text.startsWith('='));
	fc.assert(
		fc.property(value, (text) => {
			expect(splitArguments(['--env', text], names).words).toEqual([env(text)]);
			expect(splitArguments([`--env=${text}`], names).words).toEqual([env(text)]);
			if (text !== '') expect(splitArguments([`-e${text}`], names).words).toEqual([env(text)]);
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

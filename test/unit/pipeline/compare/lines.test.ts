import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareLines } from '../../../../src/pipeline/compare/compare-lines.js';

/** What a program prints: words that are always the same, and places where each run has another one. */
const pattern = fc.array(fc.oneof(fc.constantFrom('start', 'GET', 'page', '200', 'ok'), fc.constant(undefined)), {
	minLength: 1,
	maxLength: 6,
});
const patterns = fc.array(pattern, { minLength: 1, maxLength: 8 });
let serial = 0;
const token = () => `x${(serial++).toString(36)}`;
const printed = (lines: readonly (readonly (string | undefined)[])[], shuffle: boolean): readonly string[] => {
	const text = lines.map((words) => words.map((word) => word ?? token()).join(' '));
	return shuffle ? text.toSorted(() => Math.random() - 0.5) : text;
};

describe('the runs of two images that are the same', () => {
	test('never differ, whatever noise is in them, in whatever order', () => {
		fc.assert(
			fc.property(patterns, fc.integer({ min: 2, max: 5 }), (lines, runs) => {
				const side = () => Array.from({ length: runs }, () => printed(lines, true));
				expect(compareLines(side(), side(), false).pairs).toEqual([]);
			}),
		);
	});

	test('never differ where order counts and noise does not move', () => {
		fc.assert(
			fc.property(patterns, (lines) => {
				const side = () => [printed(lines, false), printed(lines, false)];
				expect(compareLines(side(), side(), true).pairs).toEqual([]);
			}),
		);
	});

	test('are the same when a word is one of those that the other image had in its place', () => {
		expect(compareLines([['pid 7'], ['pid 7']], [['pid 7'], ['pid 8']], false).result).toBe('same');
	});
});

describe('a difference', () => {
	test('is always found in what is no noise: a word', () => {
		fc.assert(
			fc.property(patterns, fc.nat(), fc.boolean(), (lines, at, ordered) => {
				const planted = ['said', 'before', ...(lines[at % lines.length] ?? [])];
				const side = (word: string) => {
					const all = [...lines, [word, ...planted]];
					return [printed(all, !ordered), printed(all, !ordered)];
				};
				expect(compareLines(side('this'), side('that'), ordered).result).toBe('differs');
			}),
		);
	});

	test('is always found in what is no noise: a line more', () => {
		fc.assert(
			fc.property(patterns, (lines) => {
				const side = (more: readonly string[]) => [0, 1].map(() => [...printed(lines, true), ...more]);
				expect(compareLines(side([]), side(['one line more']), false).result).toBe('differs');
			}),
		);
	});

	test('is a line in another place only where there is an order', () => {
		const [a, b] = [
			[
				['one', 'two'],
				['one', 'two'],
			],
			[
				['two', 'one'],
				['two', 'one'],
			],
		];
		expect(compareLines(a, b, true).result).toBe('differs');
		expect(compareLines(a, b, false).result).toBe('same');
	});

	test('is shown with the lines of both sides', () => {
		expect(compareLines([['v 1 at 5'], ['v 1 at 6']], [['v 2 at 7'], ['v 2 at 8']], false)).toEqual({
			result: 'differs',
			pairs: [{ a: 'v 1 at 5', b: 'v 2 at 7' }],
			masked: ['5', '6', '7', '8'],
		});
	});
});

test('what is never the same cannot be compared', () => {
	expect(compareLines([['a1'], ['a2']], [['a3'], ['a4']], true).result).toBe('incomparable');
});

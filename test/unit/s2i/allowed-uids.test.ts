import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAllowed, parseAllowedUids } from '../../../src/s2i/allowed-uids.js';

test.each([
	['0', [[0, 0]]],
	['5', [[5, 5]]],
	['1-', [[1, undefined]]],
	['-10', [[0, 10]]],
	['1-10', [[1, 10]]],
	['7-7', [[7, 7]]],
	[
		'1-10, 30-40 ,100-',
		[
			[1, 10],
			[30, 40],
			[100, undefined],
		],
	],
	['4294967294', [[4294967294, 4294967294]]],
])('%j is a list of ranges', (text, expected) => {
	expect(parseAllowedUids(text).map(({ first, last }) => [first, last])).toEqual(expected);
});

test.each(['', ',', '1,', '-', 'a', '1-a', '--1', '1-2-3', '5-1', '+1', '1.5', '0x1', '4294967295', '99999999999-'])(
	'%j is no list of ranges',
	(text) => {
		expect(() => parseAllowedUids(text)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
	},
);

test.each([
	['1-', 0, false],
	['1-', 1, true],
	['1-', 4294967294, true],
	['-10', 0, true],
	['-10', 11, false],
	['1-10,30-40', 20, false],
	['1-10,30-40', 40, true],
])('%j: %i allowed is %j', (text, uid, allowed) => {
	expect(isAllowed(uid, parseAllowedUids(text))).toBe(allowed);
});

test('a uid is allowed exactly when one of the ranges has it', () => {
	const uid = fc.nat(100);
	fc.assert(
		fc.property(fc.array(fc.tuple(uid, uid), { minLength: 1 }), uid, (pairs, wanted) => {
			const ranges = pairs.map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
			const parsed = parseAllowedUids(ranges.map(([first, last]) => `${first}-${last}`).join(','));
			expect(isAllowed(wanted, parsed)).toBe(ranges.some(([first, last]) => wanted >= first && wanted <= last));
		}),
	);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseTimestamp, parseTimestamp } from '../../../src/s2i/timestamp.js';

describe('--timestamp', () => {
	test.each([
		['0', 0],
		['1750000000', 1_750_000_000],
		['2025-06-15T15:06:40Z', 1_750_000_000],
		['2025-06-15 15:06:40z', 1_750_000_000],
		['2025-06-15T17:06:40+02:00', 1_750_000_000],
		['2025-06-15T15:06:40.999Z', 1_750_000_000],
		['2024-02-29T00:00:00Z', 1_709_164_800],
		['9999-12-31T23:59:59Z', 253_402_300_799],
	])('takes %s', (text, seconds) => {
		expect(parseTimestamp(text)).toBe(seconds);
	});

	test.each([
		...['', '-1', '1.5', '1e9', 'now', '1750000000000', '0x10', ' 1', '1750000000 '],
		...['2025-06-15', '2025-06-15T15:06Z', '2025-06-15T15:06:40', '15 Jun 2025', '2025-13-01T00:00:00Z'],
		...['2025-02-29T00:00:00Z', '2025-06-31T00:00:00Z', '2025-06-15T25:00:00Z', '1969-12-31T23:59:59Z'],
	])('does not take %j', (text) => {
		expect(parseTimestamp(text)).toBeUndefined();
	});

	test('takes every whole second in both forms', () => {
		fc.assert(
			fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
				expect(parseTimestamp(String(seconds))).toBe(seconds);
				expect(parseTimestamp(new Date(seconds * 1000).toISOString())).toBe(seconds);
			}),
		);
	});
});

describe('the time of a build', () => {
	test.each([
		[{ timestamp: 1, sourceDateEpoch: '2' }, 1],
		[{ timestamp: 0, sourceDateEpoch: 'nonsense' }, 0],
		[{ timestamp: undefined, sourceDateEpoch: '2' }, 2],
		[{ timestamp: undefined, sourceDateEpoch: '0' }, 0],
		[{ timestamp: undefined, sourceDateEpoch: '' }, 3],
		[{ timestamp: undefined, sourceDateEpoch: undefined }, 3],
	])('is, for %j and a source of the time 3, %i', (given, expected) => {
		expect(chooseTimestamp({ ...given, source: 3 })).toBe(expected);
	});

	test.each(['yesterday', '-5', '1.5', '2025-06-15T15:06:40Z', '9999999999999'])(
		'is not guessed from the SOURCE_DATE_EPOCH %j',
		(sourceDateEpoch) => {
			expect(() => chooseTimestamp({ timestamp: undefined, sourceDateEpoch, source: 3 })).toThrow(
				expect.objectContaining({ code: 'USAGE' }) as Error,
			);
		},
	);
});

import { expect, test } from 'vitest';
import { formatBytes, formatDuration } from '../../../src/cli/format.js';

test.each([
	[0, '0 B'],
	[999, '999 B'],
	[1000, '1.0 kB'],
	[99_960, '100 kB'],
	[341_000_000, '341 MB'],
	[999_600_000, '1.0 GB'],
	[5e15, '5000 TB'],
])('%d bytes are %s', (bytes, text) => {
	expect(formatBytes(bytes)).toBe(text);
});

test.each([
	[0, '0.0 s'],
	[12_340, '12.3 s'],
	[59_990, '1 min 00 s'],
	[125_000, '2 min 05 s'],
])('%d ms are %s', (ms, text) => {
	expect(formatDuration(ms)).toBe(text);
});

import { expect, test } from 'vitest';
import { readPax } from '../../../src/tar/header.js';

function record(keyword: string, value: string): string {
	const body = ` ${keyword}=${value}\n`;
	let length = body.length;
	while (String(length).length + body.length !== length) length = String(length).length + body.length;
	return `${length}${body}`;
}

function mapOf(...records: readonly string[]): string | undefined {
	return readPax(Buffer.from(records.join('')))
		.get('GNU.sparse.map')
		?.toString();
}

test('the numbers of a sparse map are joined in order', () => {
	const pair = [record('GNU.sparse.offset', '1'), record('GNU.sparse.numbytes', '2')];
	expect(mapOf(...pair, ...pair)).toBe('1,2,1,2');
	expect(mapOf(record('GNU.sparse.map', '7,8'), ...pair)).toBe('7,8,1,2');
	expect(mapOf(...pair, record('GNU.sparse.map', '7,8'))).toBe('7,8');
	expect(mapOf(record('path', 'a'))).toBeUndefined();
});

test('the cost of a sparse map is linear, and it has a limit', () => {
	const pair = record('GNU.sparse.offset', '1') + record('GNU.sparse.numbytes', '2');
	const began = performance.now();
	expect(mapOf(pair.repeat(200_000))).toHaveLength(800_000 - 1);
	expect(performance.now() - began).toBeLessThan(8000);
	expect(() => mapOf(pair.repeat(300_000))).toThrow(/too many parts/);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseWarnings } from '../../../src/registry/registries.js';

test.each([
	['299 - "hello"', ['hello']],
	['299 - "one", 299 - "two, with a comma"', ['one', 'two, with a comma']],
	['299 - "a \\"quoted\\" word"', ['a "quoted" word']],
	['299  -  "spaces \t  and tabs"', ['spaces and tabs']],
	['299 - ""', []],
	['110 - "Response is Stale"', []],
	['299 proxy.example "not of the registry"', []],
	['1299 - "no code"', []],
	['299 - unquoted', []],
	['299 - "unended', []],
	['', []],
])('%s says %j', (header, texts) => {
	expect(parseWarnings(header)).toEqual(texts);
});

test('secrets and control characters are not passed on, nor long texts', () => {
	const [text = ''] = parseWarnings(
		`299 - "see https://u:canary@host/?sig=canary \u001b[31m\u0007 ${'y'.repeat(2000)}"`,
	);
	expect(text).not.toMatch(/canary|[\u0000-\u001f]/);
	expect(text).toHaveLength(300);
});

test('any header is read quickly', () => {
	const began = performance.now();
	for (const word of ['299 - "', '299 ', '"\\', '299\t', ', ']) parseWarnings(word.repeat(20_000));
	expect(performance.now() - began).toBeLessThan(500);
	fc.assert(
		fc.property(fc.string(), (header) => parseWarnings(`299 - "${header}`).every((text) => text.length <= 300)),
	);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BAD_PATTERN, goMatch } from '../../../src/source/match.js';

// The table of Go's path/filepath/match_test.go, for Unix.
test.each<[string, string, boolean | 'bad']>([
	['abc', 'abc', true],
	['*', 'abc', true],
	['*c', 'abc', true],
	['a*', 'a', true],
	['a*', 'abc', true],
	['a*', 'ab/c', false],
	['a*/b', 'abc/b', true],
	['a*/b', 'a/c/b', false],
	['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
	['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
	['a*b*c*d*e*/f', 'axbxcxdxe/xxx/f', false],
	['a*b*c*d*e*/f', 'axbxcxdxexxx/fff', false],
	['a*b?c*x', 'abxbbxdbxebxczzx', true],
	['a*b?c*x', 'abxbbxdbxebxczzy', false],
	['ab[c]', 'abc', true],
	['ab[b-d]', 'abc', true],
	['ab[e-g]', 'abc', false],
	['ab[^c]', 'abc', false],
	['ab[^b-d]', 'abc', false],
	['ab[^e-g]', 'abc', true],
	['a\\*b', 'a*b', true],
	['a\\*b', 'ab', false],
	['a?b', 'a\u263ab', true],
	['a[^a]b', 'a\u263ab', true],
	['a???b', 'a\u263ab', false],
	['a[^a][^a][^a]b', 'a\u263ab', false],
	['[a-\u03b6]*', '\u03b1', true],
	['*[a-\u03b6]', 'A', false],
	['a?b', 'a/b', false],
	['a*b', 'a/b', false],
	['[\\]a]', ']', true],
	['[\\-]', '-', true],
	['[x\\-]', 'x', true],
	['[x\\-]', '-', true],
	['[x\\-]', 'z', false],
	['[\\-x]', 'x', true],
	['[\\-x]', '-', true],
	['[\\-x]', 'a', false],
	['[]a]', ']', 'bad'],
	['[-]', '-', 'bad'],
	['[x-]', 'x', 'bad'],
	['[x-]', 'z', 'bad'],
	['[-x]', 'x', 'bad'],
	['\\', 'a', 'bad'],
	['[a-b-c]', 'a', 'bad'],
	['[', 'a', 'bad'],
	['[^', 'a', 'bad'],
	['[^bc', 'a', 'bad'],
	['a[', 'a', 'bad'],
	['a[', 'ab', 'bad'],
	['a[', 'x', 'bad'],
	['a/b[', 'x', 'bad'],
	['*x', 'xxx', true],
])('the pattern %j on %j is %s, as in Go', (pattern, name, expected) => {
	expect(goMatch(pattern, name)).toBe(expected === 'bad' ? BAD_PATTERN : expected);
});

test('stars and question marks mean what the regular expression means', () => {
	const alphabet = (chars: string) => fc.string({ unit: fc.constantFrom(...Array.from(chars)), maxLength: 12 });
	fc.assert(
		fc.property(alphabet('ab*?/'), alphabet('ab/'), (pattern, name) => {
			const regexp = new RegExp(`^${pattern.replaceAll('?', '[^/]').replaceAll('*', '[^/]*')}$`);
			expect(goMatch(pattern, name)).toBe(regexp.test(name));
		}),
		{ numRuns: 2000 },
	);
});

test('a name with every special character escaped matches itself only', () => {
	fc.assert(
		fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (name, other) => {
			const escaped = name.replace(/[*?[\]\\^-]/g, '\\$&');
			expect(goMatch(escaped, name)).toBe(true);
			expect(goMatch(escaped, other)).toBe(name === other);
		}),
	);
});

test('no pattern throws or takes long (regular expression denial of service)', () => {
	fc.assert(
		fc.property(fc.string(), fc.string(), (pattern, name) => {
			expect([true, false, BAD_PATTERN]).toContain(goMatch(pattern, name));
		}),
	);
	const began = performance.now();
	expect(goMatch(`${'a*'.repeat(200)}b`, 'a'.repeat(5000))).toBe(false);
	expect(performance.now() - began).toBeLessThan(2000);
});

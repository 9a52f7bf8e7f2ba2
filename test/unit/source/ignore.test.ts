import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseIgnore } from '../../../src/source/ignore.js';

test.each<[string, readonly string[], readonly string[]]>([
	['*.log', ['a.log'], ['b/a.log', 'log']],
	['**/a', ['x/a'], ['a', 'x/y/a']],
	['/a/', ['a'], ['b/a']],
	['./a//b/../c', ['a/c'], ['a/b']],
	['  spaced  ', ['spaced'], ['  spaced  ']],
	['# comment\n\r\na\r', ['a'], ['# comment', '']],
	['\\#a', ['#a'], ['\\#a']],
	['*\n!keep', ['a'], ['keep']],
	['!keep\n*', ['keep'], []],
	['*.md\n!README.md\nREADME*', ['README.md', 'x.md', 'README'], ['x']],
	['!', [], ['a', '!']],
	['a/*/c', ['a/b/c'], ['a/c', 'a/b/b/c']],
	['..\n../x\n/\n.\n../../*', [], ['x', '..x', 'a']],
])('the rules %j leave out %j but not %j', (text, ignored, kept) => {
	const ignore = parseIgnore(text);
	expect(ignored.filter((path) => !ignore(path))).toEqual([]);
	expect(kept.filter((path) => ignore(path))).toEqual([]);
});

test('a malformed pattern is refused with its line', () => {
	expect(() => parseIgnore('ok\n\n[a')).toThrow(
		expect.objectContaining({
			code: 'SOURCE_INVALID',
			message: '.s2iignore line 3 is not a valid pattern: "[a"',
		}) as Error,
	);
	expect(() => parseIgnore('a\n'.repeat(10_001))).toThrow(expect.objectContaining({ code: 'SOURCE_INVALID' }) as Error);
});

test('a rule and its opposite behind it leave nothing out', () => {
	const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '/', '.') });
	const path = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), minLength: 1 });
	fc.assert(
		fc.property(pattern, path, (rule, name) => {
			expect(parseIgnore(`${rule}\n!${rule}`)(name)).toBe(false);
		}),
	);
});

// The cases of S2I's pkg/ignore: the files that are there, the rules, and the files that stay.
test.each<[string, readonly string[], string, readonly string[]]>([
	['a blank line', ['a', 'b'], 'a\n\n', ['b']],
	['one file', ['a.txt', 'b.txt'], 'a.txt', ['b.txt']],
	['a wildcard', ['a.txt', 'b.txt', 'c.md'], '*.txt', ['c.md']],
	['an exception', ['a.txt', 'b.txt'], '*.txt\n!a.txt', ['a.txt']],
	['directories below', ['d/a', 'd/e/b', 'c'], 'd/*', ['c']],
	['a mix', ['d/a.txt', 'd/b.md', 'e/a.txt', 'f'], '*/*.txt\n!e/a.txt\nf', ['d/b.md', 'e/a.txt']],
	['order: the last rule wins', ['a.txt', 'b.txt'], '!a.txt\n*.txt', []],
	['a wildcard exception', ['ab', 'ac', 'b'], '*\n!a*', ['ab', 'ac']],
	['a hopeless exception below an ignored directory', ['d/a', 'b'], 'd\n!d/a', ['b']],
])('as in S2I: %s', (_what, files, rules, left) => {
	const ignore = parseIgnore(rules);
	const isLeft = (path: string): boolean => {
		const parts = path.split('/');
		return !parts.some((_part, index) => ignore(parts.slice(0, index + 1).join('/')));
	};
	expect(files.filter(isLeft)).toEqual(left);
});

test('rules that cost too much are refused, not waited for', { timeout: 60_000 }, () => {
	const ignore = parseIgnore(Array.from({ length: 10_000 }, () => `${'*a'.repeat(50)}b`).join('\n'));
	const name = 'a'.repeat(250);
	expect(() => {
		for (let index = 0; index < 100_000; index += 1) ignore(`${name}${index}`);
	}).toThrow(
		expect.objectContaining({ code: 'SOURCE_INVALID', hint: expect.stringContaining('fewer') as string }) as Error,
	);
});

test.each([
	['a\n!a\n*\n!a', false],
	['a\n!*', false],
	['!*\na', true],
	['*\n!a\na\n[b]', true],
])('of %j the last rule counts, whether it has a pattern or not', (text, ignored) => {
	expect(parseIgnore(text)('a')).toBe(ignored);
});

test('ten thousand names as rules cost next to nothing', () => {
	const ignore = parseIgnore(Array.from({ length: 10_000 }, (_, index) => `dir/file-${index}`).join('\n'));
	const began = performance.now();
	for (let index = 0; index < 200_000; index += 1)
		if (ignore(`dir/file-${index}`) !== index < 10_000) expect.fail(String(index));
	expect(performance.now() - began).toBeLessThan(10_000);
});

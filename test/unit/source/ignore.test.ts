import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isGitMetadata, parseIgnore } from '../../../src/source/ignore.js';

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

test.each([
	['.git', true],
	['.git/config', true],
	['vendor/lib/.git', true],
	['.github/workflows', false],
	['.gitignore', false],
	['a.git/x', false],
])('%s is git metadata: %s', (path, expected) => {
	expect(isGitMetadata(path)).toBe(expected);
});

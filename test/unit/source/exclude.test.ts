import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseExclude } from '../../../src/source/selection.js';

test.each([
	['.git', true],
	['.git/config', true],
	['vendor/lib/.git', true],
	['.github/workflows', false],
	['.gitignore', false],
	['a.git/x', false],
])('by default %s is excluded: %s', async (path, expected) => {
	expect((await parseExclude(undefined))(path)).toBe(expected);
	expect((await parseExclude('(^|/)\\.git(/|$)'))(path)).toBe(expected);
	expect((await parseExclude(''))(path)).toBe(false);
});

// What Go's regexp says of each, where it differs from JavaScript's or is easily got wrong.
test.each<[string, readonly string[], readonly string[]]>([
	['()', ['', 'a'], []],
	['^vendor/', ['vendor/a'], ['x/vendor/a']],
	['\\.(log|tmp)$', ['a.log', 'b/c.tmp'], ['a.logs', 'log']],
	['(foo|bar)+baz', ['foobarbaz'], ['fobaz']],
	['a{2,3}b', ['aab', 'aaab', 'aaaab'], ['ab']],
	['^a{2}$', ['aa'], ['a', 'aaa']],
	['^a{0,1}$', ['', 'a'], ['aa']],
	['a{,2}', ['a{,2}'], ['aa']],
	['(?i)ReadMe', ['README', 'readme'], ['red']],
	['(?i:a)b', ['Ab', 'ab'], ['AB']],
	['a(?i)b|c', ['aB', 'C'], ['Ab']],
	['(?P<name>x)y', ['xy'], ['x']],
	['(?<name>x)y', ['xy'], ['x']],
	['[[:alpha:]]+[[:digit:]]', ['ab1'], ['ab', '1']],
	['[^[:space:]/]x', ['ax'], [' x', '/x']],
	['^[]a]+$', [']a]'], ['b']],
	['^[^]a]$', ['b'], [']', 'a']],
	['^[a-]$', ['a', '-'], ['b']],
	['^[\\w.-]+$', ['a-b.c_1'], ['a b']],
	['^\\D\\S\\W$', ['ab-'], ['1b-', 'a -', 'abc']],
	['\\Aa\\z', ['a'], ['ba', 'ab']],
	['\\bfoo\\b', ['a foo', 'foo/x'], ['food']],
	['\\Q.*\\E$', ['a.*'], ['ab']],
	['\\p{Greek}\\pL', ['\u03b1x'], ['xx']],
	['^\\PL$', ['1'], ['a']],
	['^.$', ['\u{1f600}', 'a'], ['\n', 'ab']],
	['(?s)^.$', ['\n'], []],
	['(?m)^b$', ['a\nb\nc'], ['ab']],
	['\\x41\\x{1F600}', ['A\u{1f600}'], ['x']],
	['(|a)*b', ['b', 'aab'], ['a']],
	['(a*)*$', ['', 'aaa', 'b'], []],
	['a\\-b\\_', ['a-b_'], []],
	['a*?b??', ['', 'ab'], []],
	['^*', ['a'], []],
])('the pattern %j matches %j but not %j', async (pattern, matched, others) => {
	const exclude = await parseExclude(pattern);
	expect(matched.filter((text) => !exclude(text))).toEqual([]);
	expect(others.filter((text) => exclude(text))).toEqual([]);
});

test.each([
	'(',
	')',
	'a)',
	'[',
	'[a',
	'[b-a]',
	'[\\d-z]x[z-\\d]',
	'*a',
	'a**',
	'a|+',
	'a{2}{3}',
	'a{1001}',
	'a{3,2}',
	'((a{100}){100}){100}',
	'(?=a)',
	'(?!a)',
	'(?<=a)',
	'(a)\\1',
	'\\k<a>',
	'\\',
	'\\y',
	'\\p{Nonsense}',
	'[[:nonsense:]]',
	'(?x)a',
	'\\x{110000}',
	'a'.repeat(1001),
])('%j is refused by the name of the option', async (pattern) => {
	await expect(parseExclude(pattern)).rejects.toMatchObject({
		code: 'USAGE',
		message: expect.stringContaining('--exclude') as string,
	});
});

test('what Go and JavaScript have in common means the same', async () => {
	const { node } = fc.letrec<{ node: string }>((again) => ({
		node: fc.oneof(
			{ maxDepth: 4 },
			fc.constantFrom('a', 'b', '/', '.', '^', '$', '\\.', '[ab]', '[^a/]', '\\w', '\\b'),
			fc.tuple(again('node'), again('node')).map(([one, two]) => one + two),
			fc.tuple(again('node'), again('node')).map(([one, two]) => `(${one}|${two})`),
			fc.tuple(again('node'), fc.constantFrom('*', '+', '?', '{1,2}')).map(([one, sign]) => `(?:${one})${sign}`),
		),
	}));
	await fc.assert(
		fc.asyncProperty(
			node,
			fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 8 }),
			async (pattern, text) => {
				expect((await parseExclude(pattern))(text)).toBe(new RegExp(pattern, 'u').test(text));
			},
		),
		{ numRuns: 2000 },
	);
});

test('no pattern takes long, whatever the path (regular expression denial of service)', async () => {
	for (const pattern of ['(a*)*b', '(a|a)*b', '(a|aa)+$', '.*a.*a.*a.*a.*b', '(.*)*x']) {
		expect((await parseExclude(pattern))(`${'a'.repeat(4000)}c`)).toBe(false);
	}
});

test('nothing but USAGE comes of any pattern', async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.string({ unit: fc.constantFrom(...Array.from('ab()[]{}|*+?^$.\\-:,1pQE')) }),
			fc.string(),
			async (pattern, text) => {
				try {
					expect([true, false]).toContain((await parseExclude(pattern))(text));
				} catch (error) {
					expect(error).toMatchObject({ code: 'USAGE' });
				}
			},
		),
		{ numRuns: 3000 },
	);
});

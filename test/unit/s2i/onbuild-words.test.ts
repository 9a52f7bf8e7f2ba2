import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expand, readJsonForm, splitFlags, splitPlain, splitQuoted } from '../../../src/s2i/onbuild-words.js';

const SET: Readonly<Record<string, string>> = { A: 'one', B: 'two words', EMPTY: '', _x1: 'odd', 1: 'first' };
const expanded = (word: string) => expand(word, (name) => SET[name], 'ENV X');

describe('the expansion of a word', () => {
	test.each([
		['plain', 'plain'],
		['$A', 'one'],
		['${A}', 'one'],
		['$A$A/x', 'oneone/x'],
		['${A}b', 'oneb'],
		['$Ab', ''],
		['$UNSET.', '.'],
		['$_x1-$1', 'odd-first'],
		['$', '$'],
		['a$/b', 'a$/b'],
		['\\$A', '$A'],
		["'$A'", '$A'],
		['"$A  x"', 'one  x'],
		['"\\$A \\" \\n"', '$A " \\n'],
		['a\\ b', 'a b'],
		["it\\'s", "it's"],
		['${A:-x}', 'one'],
		['${UNSET:-x}', 'x'],
		['${EMPTY:-x}', 'x'],
		['${EMPTY-x}', ''],
		['${UNSET-x}', 'x'],
		['${A:+x}', 'x'],
		['${EMPTY:+x}', ''],
		['${EMPTY+x}', 'x'],
		['${UNSET:+x}', ''],
		['${UNSET:-${A}/$B}', 'one/two words'],
		['${UNSET:-"}"}', '}'],
		['${A:?needed}', 'one'],
	])('makes %s into %s', (word, result) => {
		expect(expanded(word)).toBe(result);
	});

	test.each(['${A', '${UNSET:-x', '${}', '"open', "'open", '${UNSET:?no}', '${UNSET?no}'])('refuses %s', (word) => {
		expect(() => expanded(word)).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }));
	});

	test.each(['${A#o}', '${A%e}', '${A/x/y}', '${A:1}'])('does not support %s', (word) => {
		expect(() => expanded(word)).toThrow(expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }));
	});

	test('stops before it fills the memory', () => {
		const long = 'x'.repeat(100_000);
		expect(() => expand('$A$A', () => long, 'ENV X')).toThrow(/more than 128 KiB/);
	});

	test('leaves every word without a special character as it is', () => {
		fc.assert(
			fc.property(fc.string(), (text) => {
				const word = text.replace(/[$\\'"]/g, '');
				expect(expanded(word)).toBe(word);
			}),
		);
	});

	test('ends, with a text or a BuildError, for any word', () => {
		fc.assert(
			fc.property(
				fc.string({ unit: fc.constantFrom('a', '$', '{', '}', ':', '-', '+', '?', '\\', "'", '"', 'A', ' ') }),
				(word) => {
					try {
						expect(typeof expanded(word)).toBe('string');
					} catch (error) {
						expect(error).toMatchObject({ name: 'BuildError' });
					}
				},
			),
		);
	});
});

describe('words', () => {
	test.each([
		['a b  c', ['a', 'b', 'c']],
		['a="b c" d', ['a="b c"', 'd']],
		["a='b c' d", ["a='b c'", 'd']],
		['a=b\\ c d', ['a=b\\ c', 'd']],
		['a="b \\" c" d', ['a="b \\" c"', 'd']],
		['a="open end', ['a="open end']],
		['', []],
	])('of %s are split outside of quotes', (text, words) => {
		expect(splitQuoted(text)).toEqual(words);
	});

	test('lose no character that is not white space', () => {
		fc.assert(
			fc.property(fc.string({ unit: fc.constantFrom('a', 'b', ' ', '"', "'", '\\', '\n') }), (text) => {
				expect(splitQuoted(text).join('').replace(/\s/g, '')).toBe(text.replace(/\s/g, ''));
			}),
		);
	});

	test('of COPY are split at white space only', () => {
		expect(splitPlain(' "a b"\tc ')).toEqual(['"a', 'b"', 'c']);
	});

	test.each([
		['["a", "b c"]', ['a', 'b c']],
		['[]', []],
		['["a", 1]', undefined],
		["['a']", undefined],
		['[ -f x ] && y', undefined],
		['"a"', undefined],
	])('of the JSON form %s', (text, words) => {
		expect(readJsonForm(text)).toEqual(words);
	});

	test('that begin with two dashes are flags, up to the first that does not', () => {
		const { flags, rest } = splitFlags('--chown=1001:0 --link a --b');
		expect([...flags]).toEqual([
			['chown', '1001:0'],
			['link', ''],
		]);
		expect(rest).toBe('a --b');
	});
});

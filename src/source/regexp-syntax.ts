/** Whether one character (code point) is what a pattern wants there. */
export type CharTest = (char: string) => boolean;

/** A parsed regular expression. */
export type Node =
	| { readonly type: 'char'; readonly test: CharTest }
	| { readonly type: 'assert'; readonly test: (text: readonly string[], at: number) => boolean }
	| { readonly type: 'concat' | 'either'; readonly parts: readonly Node[] }
	| { readonly type: 'repeat'; readonly part: Node; readonly min: number; readonly max: number };

interface Flags {
	readonly i: boolean;
	readonly m: boolean;
	readonly s: boolean;
}

const MAX_REPEAT = 1000;
const CONTROLS: Readonly<Record<string, string>> = { a: '\x07', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
const CLASSES: Readonly<Record<string, RegExp>> = { d: /^[0-9]$/, s: /^[\t\n\f\r ]$/, w: /^[0-9A-Za-z_]$/ };
const POSIX: Readonly<Record<string, RegExp>> = {
	alnum: /^[0-9A-Za-z]$/,
	alpha: /^[A-Za-z]$/,
	ascii: /^[\0-\x7f]$/,
	blank: /^[\t ]$/,
	cntrl: /^[\0-\x1f\x7f]$/,
	digit: /^[0-9]$/,
	graph: /^[!-~]$/,
	lower: /^[a-z]$/,
	print: /^[ -~]$/,
	punct: /^[!-/:-@[-`{-~]$/,
	space: /^[\t\n\v\f\r ]$/,
	upper: /^[A-Z]$/,
	word: /^[0-9A-Za-z_]$/,
	xdigit: /^[0-9A-Fa-f]$/,
};

interface Scan {
	rest: string;
	flags: Flags;
}

type Assertion = Extract<Node, { readonly type: 'assert' }>;

/**
 * The syntax tree of a Go regular expression (RE2 syntax: no look-around, no back references). Throws a SyntaxError that says what is
 * wrong with it.
 */
export function parsePattern(pattern: string): Node {
	const scan: Scan = { rest: pattern, flags: { i: false, m: false, s: false } };
	const node = parseEither(scan);
	if (scan.rest !== '') throw new SyntaxError('a parenthesis is closed that was not opened');
	return node;
}

function parseEither(scan: Scan): Node {
	const parts = [parseConcat(scan)];
	while (take(scan, /^\|/) !== undefined) parts.push(parseConcat(scan));
	return { type: 'either', parts };
}

function parseConcat(scan: Scan): Node {
	const parts: Node[] = [];
	while (scan.rest !== '' && !/^[|)]/.test(scan.rest)) parts.push(parseRepeat(scan));
	return { type: 'concat', parts };
}

function parseRepeat(scan: Scan): Node {
	const part = parseAtom(scan);
	const found = take(scan, /^([*+?]|\{\d+(?:,\d*)?\})\??/);
	if (found === undefined) return part;
	if (/^(?:[*+?]|\{\d+(?:,\d*)?\})/.test(scan.rest)) {
		throw new SyntaxError(`it repeats a repetition at ${cut(scan.rest)}`);
	}
	return { type: 'repeat', part, ...repetition(found[1] ?? '') };
}

function parseAtom(scan: Scan): Node {
	const { i, m, s } = scan.flags;
	const quoted = take(scan, /^\\Q([^]*?)(?:\\E|$)/);
	if (quoted !== undefined) return { type: 'concat', parts: Array.from(quoted[1] ?? '', (char) => literal(char, i)) };
	if (take(scan, /^\(/) !== undefined) return parseGroup(scan);
	if (take(scan, /^\[/) !== undefined) return { type: 'char', test: parseClass(scan) };
	if (take(scan, /^\\/) !== undefined) return assertion(scan) ?? charNode(escaped(scan).test, i);
	if (/^[*+?]/.test(scan.rest)) throw new SyntaxError(`there is nothing to repeat at ${cut(scan.rest)}`);
	const char = takeChar(scan);
	return plainAtom(char, m, s) ?? literal(char, i);
}

function parseGroup(scan: Scan): Node {
	const before = scan.flags;
	const special = take(scan, /^\?(?:P?<\w+>|([imsU]*)(?:-([imsU]+))?([:)]))/);
	if (special === undefined && scan.rest.startsWith('?')) throw new SyntaxError(`(${cut(scan.rest)} is not supported`);
	const [, on = '', off = '', end] = special ?? [];
	const flag = (name: keyof Flags) => (before[name] || on.includes(name)) && !off.includes(name);
	scan.flags = { i: flag('i'), m: flag('m'), s: flag('s') };
	if (end === ')') return NOTHING;
	const node = parseEither(scan);
	if (take(scan, /^\)/) === undefined) throw new SyntaxError('a parenthesis is not closed');
	scan.flags = before;
	return node;
}

function take(scan: Scan, expected: RegExp): RegExpExecArray | undefined {
	const found = expected.exec(scan.rest);
	if (found === null) return undefined;
	scan.rest = scan.rest.slice(found[0].length);
	return found;
}

function takeChar(scan: Scan): string {
	const [char] = scan.rest;
	if (char === undefined) throw new SyntaxError('it ends too early');
	scan.rest = scan.rest.slice(char.length);
	return char;
}

const NOTHING: Node = { type: 'concat', parts: [] };
const TEXT_START = assert((_text, at) => at === 0);
const TEXT_END = assert((text, at) => at === text.length);
const LINE_START = assert((text, at) => at === 0 || text[at - 1] === '\n');
const LINE_END = assert((text, at) => at === text.length || text[at] === '\n');
const WORD_EDGE = assert((text, at) => isWord(text[at - 1]) !== isWord(text[at]));
const NO_WORD_EDGE = assert((text, at) => isWord(text[at - 1]) === isWord(text[at]));
const ASSERTIONS: Readonly<Record<string, Assertion>> = { A: TEXT_START, z: TEXT_END, b: WORD_EDGE, B: NO_WORD_EDGE };

function assert(test: Assertion['test']): Assertion {
	return { type: 'assert', test };
}

function isWord(char = ''): boolean {
	return /^\w$/.test(char);
}

function assertion(scan: Scan): Assertion | undefined {
	return ASSERTIONS[take(scan, /^[AzbB]/)?.[0] ?? ''];
}

function repetition(sign: string): { readonly min: number; readonly max: number } {
	if (!sign.startsWith('{')) return { min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Infinity };
	const [low = '', high = low] = sign.slice(1, -1).split(',');
	const bounds = { min: Number(low), max: high === '' ? Infinity : Number(high) };
	const isSmall = [bounds.min, bounds.max].every((bound) => bound === Infinity || bound <= MAX_REPEAT);
	if (!isSmall || bounds.min > bounds.max) throw new SyntaxError(`the repetition ${sign} is not valid`);
	return bounds;
}

function literal(char: string, ignoreCase: boolean): Node {
	return charNode((other) => other === char, ignoreCase);
}

/** What `^`, `$` and `.` mean; undefined for other characters. */
function plainAtom(char: string, byLine: boolean, withLineBreaks: boolean): Node | undefined {
	if (char === '^') return byLine ? LINE_START : TEXT_START;
	if (char === '$') return byLine ? LINE_END : TEXT_END;
	return char === '.' ? { type: 'char', test: (other) => withLineBreaks || other !== '\n' } : undefined;
}

function charNode(test: CharTest, ignoreCase: boolean): Node {
	return { type: 'char', test: ignoreCase ? folded(test) : test };
}

function folded(test: CharTest): CharTest {
	return (char) => test(char.toLowerCase()) || test(char.toUpperCase());
}

/** What follows a backslash, inside brackets or outside. */
function escaped(scan: Scan): ClassItem {
	const unicode = take(scan, /^([pP])(?:\{(\^?)([A-Za-z_]+)\}|([A-Z]))/);
	if (unicode !== undefined) return { test: unicodeClass(unicode) };
	const hex = take(scan, /^x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/);
	if (hex !== undefined) return single(codeChar(hex[1] ?? hex[2] ?? ''));
	const char = takeChar(scan);
	if (!/^[0-9A-Za-z]$/.test(char)) return single(char);
	const known = CLASSES[char.toLowerCase()];
	if (known !== undefined) return { test: (other) => known.test(other) === (char === char.toLowerCase()) };
	const control = CONTROLS[char];
	if (control === undefined) throw new SyntaxError(`\\${char} is not supported`);
	return single(control);
}

/** A part of a class; `char` when it is one character, which may begin or end a range. */
interface ClassItem {
	readonly test: CharTest;
	readonly char?: string;
}

function single(char: string): ClassItem {
	return { test: (other) => other === char, char };
}

function codeChar(hex: string): string {
	const code = Number.parseInt(hex, 16);
	if (code > 0x10ffff) throw new SyntaxError(`\\x{${hex}} is no character`);
	return String.fromCodePoint(code);
}

function unicodeClass([, letter, not, long, short]: RegExpExecArray): CharTest {
	const name = long ?? short ?? '';
	const negated = (letter === 'P') !== (not === '^');
	const test = unicodeTest(name) ?? unicodeTest(`Script=${name}`);
	if (test === undefined) throw new SyntaxError(`\\p{${name}} is not known`);
	return (char) => test.test(char) !== negated;
}

function unicodeTest(property: string): RegExp | undefined {
	try {
		return new RegExp(`^\\p{${property}}$`, 'u');
	} catch {
		return undefined;
	}
}

/** The inside of brackets, up to and including the closing one. */
function parseClass(scan: Scan): CharTest {
	const negated = take(scan, /^\^/) !== undefined;
	const tests: CharTest[] = [];
	for (let first = true; first || take(scan, /^\]/) === undefined; first = false) {
		const low = classItem(scan);
		if (low.char === undefined || take(scan, /^-(?!\])/) === undefined) tests.push(low.test);
		else tests.push(range(low.char, classItem(scan).char));
	}
	const any: CharTest = (char) => tests.some((test) => test(char));
	const test = scan.flags.i ? folded(any) : any;
	return negated ? (char) => !test(char) : test;
}

function classItem(scan: Scan): ClassItem {
	const posix = take(scan, /^\[:(\^?)([a-z]+):\]/);
	if (posix !== undefined) {
		const known = POSIX[posix[2] ?? ''];
		if (known === undefined) throw new SyntaxError(`${posix[0]} is not known`);
		return { test: (char) => known.test(char) === (posix[1] === '') };
	}
	return take(scan, /^\\/) === undefined ? single(takeChar(scan)) : escaped(scan);
}

function range(from: string, to: string | undefined): CharTest {
	const [low, high] = [from.codePointAt(0) ?? 0, to?.codePointAt(0) ?? -1];
	if (low > high) throw new SyntaxError(`the range from ${from} to ${to ?? 'a class'} is not valid`);
	return (char) => {
		const code = char.codePointAt(0) ?? 0;
		return low <= code && code <= high;
	};
}

function cut(text: string): string {
	return text.slice(0, 10);
}

import * as v from 'valibot';
import { BuildError } from '../errors.js';
import { parseJson } from '../json.js';
import { redact } from '../redact.js';

/** Looks up a variable; undefined when it is not set. */
export type Variables = (name: string) => string | undefined;

/** What one variable may grow to: more than the kernel passes to a program in one piece. */
const MAX_EXPANSION = 128 * 1024;
const UNCLOSED = 'has a ${ without }';
const NAME = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9])/;
const strings = v.array(v.string());

/** IMAGE_INVALID for the instruction `text` of an image, and what is wrong with it. */
export function onBuildInvalid(text: string, problem: string): BuildError {
	return new BuildError('IMAGE_INVALID', `the image's ${showInstruction(text)} ${problem}`, {
		hint: 'Ask the maintainer of the builder image to fix it.',
	});
}

/** IMAGE_UNSUPPORTED for `what` in the instruction `text` of an image. */
export function onBuildUnsupported(text: string, what: string): BuildError {
	const message = `${what} is not supported in ONBUILD: the image has ${showInstruction(text)}`;
	return new BuildError('IMAGE_UNSUPPORTED', message, {
		hint: 'Use another builder image, or build this one with a Dockerfile.',
	});
}

/** The instruction `text` for a message: redacted, in one line, at most 100 characters of it. */
export function showInstruction(text: string): string {
	return `ONBUILD ${redact(text)
		.slice(0, 100)
		.replace(/[\0-\x1f\x7f]+/g, ' ')}`;
}

/** The array of strings that `text` is; undefined for anything else, which is then the shell form. */
export function readJsonForm(text: string): readonly string[] | undefined {
	if (!text.startsWith('[')) return undefined;
	try {
		const result = v.safeParse(strings, parseJson(text));
		return result.success ? result.output : undefined;
	} catch {
		return undefined;
	}
}

/** `text` split at white space. */
export function splitPlain(text: string): readonly string[] {
	return text.split(/\s+/).filter((word) => word !== '');
}

/** `text` split at white space outside of quotes; quotes and backslashes stay for {@link expand}. */
export function splitQuoted(text: string): readonly string[] {
	return text.match(/(?:\\[^]|"(?:\\[^]|[^"\\])*"?|'[^']*'?|[^\s\\"'])+|\\$/g) ?? [];
}

/** The flags `--name` and `--name=value` that `text` begins with, `''` being the value of the first form, and what follows them. */
export function splitFlags(text: string): { readonly flags: ReadonlyMap<string, string>; readonly rest: string } {
	const flags = new Map<string, string>();
	let rest = text;
	for (;;) {
		const [all = '', name = '', value = ''] = /^--([a-z-]*)(?:=(\S*))?(?:\s+|$)/.exec(rest) ?? [];
		if (all === '') return { flags, rest };
		rest = rest.slice(all.length);
		if (name === '') return { flags, rest };
		flags.set(name, value);
	}
}

interface Cursor {
	at: number;
	size: number;
}

/**
 * `word` as a Dockerfile means it: variables replaced (`$NAME`, `${NAME}`, `${NAME:-word}`, `:+`, `:?` and the same without colon),
 * quotes and backslashes removed. Unset variables are empty. Throws IMAGE_INVALID or IMAGE_UNSUPPORTED naming the instruction `text`.
 */
export function expand(word: string, variables: Variables, text: string): string {
	return expandUntil(word, { at: 0, size: 0 }, undefined, { variables, text });
}

interface Expansion {
	readonly variables: Variables;
	readonly text: string;
}

function expandUntil(word: string, cursor: Cursor, end: '}' | undefined, expansion: Expansion): string {
	let result = '';
	while (cursor.at < word.length && word[cursor.at] !== end) {
		const part = expandOne(word, cursor, expansion);
		cursor.size += part.length;
		if (cursor.size > MAX_EXPANSION) throw onBuildInvalid(expansion.text, 'expands to more than 128 KiB');
		result += part;
	}
	if (end !== undefined && cursor.at >= word.length) throw onBuildInvalid(expansion.text, 'has a ${ without }');
	return result;
}

function expandOne(word: string, cursor: Cursor, expansion: Expansion): string {
	const char = word[cursor.at] ?? '';
	if (char === '$') return expandVariable(word, cursor, expansion);
	cursor.at += 1;
	if (char === '\\') return word[cursor.at++] ?? '';
	if (char === "'") return takeUntilQuote(word, cursor, expansion);
	return char === '"' ? expandQuoted(word, cursor, expansion) : char;
}

function takeUntilQuote(word: string, cursor: Cursor, { text }: Expansion): string {
	const end = word.indexOf("'", cursor.at);
	if (end === -1) throw onBuildInvalid(text, 'has a quote that does not end');
	const taken = word.slice(cursor.at, end);
	cursor.at = end + 1;
	return taken;
}

/** In double quotes a backslash counts only before what would else mean something. */
function expandQuoted(word: string, cursor: Cursor, expansion: Expansion): string {
	let result = '';
	while (word[cursor.at] !== '"') {
		const char = word[cursor.at];
		if (char === undefined) throw onBuildInvalid(expansion.text, 'has a quote that does not end');
		if (char === '$') {
			result += expandVariable(word, cursor, expansion);
			continue;
		}
		if (char === '\\' && /["$\\]/.test(word[cursor.at + 1] ?? '')) cursor.at += 1;
		result += word[cursor.at] ?? '';
		cursor.at += 1;
	}
	cursor.at += 1;
	return result;
}

function expandVariable(word: string, cursor: Cursor, expansion: Expansion): string {
	cursor.at += 1;
	const braced = word[cursor.at] === '{';
	if (braced) cursor.at += 1;
	const name = NAME.exec(word.slice(cursor.at, cursor.at + 1000))?.[0] ?? '';
	cursor.at += name.length;
	if (!braced) return name === '' ? '$' : (expansion.variables(name) ?? '');
	if (name === '') throw onBuildInvalid(expansion.text, 'has a ${ without a name');
	return expandBraced(name, word, cursor, expansion);
}

function expandBraced(name: string, word: string, cursor: Cursor, expansion: Expansion): string {
	const modifier = takeModifier(word, cursor);
	const value = expansion.variables(name);
	if (modifier === '}') return value ?? '';
	if (cursor.at >= word.length) throw onBuildInvalid(expansion.text, UNCLOSED);
	if (!/[-+?]$/.test(modifier)) throw onBuildUnsupported(expansion.text, `the modifier of \${${name}}`);
	const other = expandUntil(word, cursor, '}', expansion);
	cursor.at += 1;
	const found = modifier.startsWith(':') && value === '' ? undefined : value;
	if (found === undefined && modifier.endsWith('?')) {
		throw onBuildInvalid(expansion.text, `needs the variable ${name}, which is not set`);
	}
	return modifier.endsWith('+') ? replaced(found, other) : (found ?? other);
}

function takeModifier(word: string, cursor: Cursor): string {
	const [modifier = ''] = /^:?[-+?}]?/.exec(word.slice(cursor.at, cursor.at + 2)) ?? [];
	cursor.at += modifier.length;
	return modifier;
}

function replaced(value: string | undefined, other: string): string {
	return value === undefined ? '' : other;
}

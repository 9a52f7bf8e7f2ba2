import { BuildError } from '../errors.js';
import { redactWord } from '../redact.js';
import { findAlias, findWithoutEffect } from './aliases.js';
import type { OptionSpec } from './options.js';
import { closest } from './values.js';
import type { Alias, Notice, ProgramName, WithoutEffect, Word } from './words.js';

/** What a command accepts; `program` is the name under which it was called. */
export interface OptionNames {
	readonly command: string;
	readonly program: ProgramName;
	readonly options: readonly OptionSpec[];
	/** Options that the command takes for S2I's sake. */
	readonly withoutEffect: WithoutEffect;
}

/** A command line: `rest` is what stood behind `--`, `notices` are about options that are deprecated, repeated or without effect. */
export interface CommandLine {
	readonly words: readonly Word[];
	readonly rest: readonly string[] | undefined;
	readonly notices: readonly Notice[];
	/** Environment variables that options stand for. */
	readonly env: Readonly<Record<string, string>>;
}

/**
 * Reads `argv` as pflag does (`-eA=1`, `-cq`, `-e A=1`, `--env A=1`, `--env=A=1`, `--copy=false`); values may begin with a dash. Of an
 * option that takes one value the last one counts, with a notice. Throws USAGE for unknown options, with the nearest known one, for missing
 * values, and for two files of one kind to write.
 */
export function splitArguments(argv: readonly string[], names: OptionNames): CommandLine {
	const end = argv.indexOf('--');
	const tokens = (end === -1 ? argv : argv.slice(0, end)).values();
	const next = (option: string): string => {
		const { value, done } = tokens.next();
		if (done === true) throw usage(`${option} needs a value`, names);
		return value;
	};
	const words: Word[] = [];
	const notices: Notice[] = [];
	const env: Record<string, string> = {};
	for (const token of tokens) {
		const reader = { names, next, notices, env };
		if (token.startsWith('--')) words.push(...readLong(token, reader));
		else if (token.startsWith('-') && token.length > 1) words.push(...readShorts(token, reader));
		else words.push({ type: 'positional', value: token });
	}
	const counted = lastOfEach(words, names);
	return {
		words: counted.words,
		rest: end === -1 ? undefined : argv.slice(end + 1),
		notices: [...notices, ...counted.notices],
		env,
	};
}

/** USAGE with a hint that leads to the help of the command. */
export function usage(message: string, names: Pick<OptionNames, 'command' | 'program'>, advice?: string): BuildError {
	return new BuildError('USAGE', message, { hint: advice ?? `See ${names.program} ${names.command} --help.` });
}

/** Ours, and each a file to write: who names two would find only one of them. */
const ONCE: readonly string[] = ['digest-file', 'result-file'];

/** `words` with the last value only of options that take one. */
function lastOfEach(
	words: readonly Word[],
	names: OptionNames,
): { readonly words: readonly Word[]; readonly notices: readonly Notice[] } {
	const given = new Map<string, string[]>();
	for (const word of words) {
		if (word.type !== 'option' || names.options.some(({ long, repeatable }) => repeatable && long === word.long))
			continue;
		given.set(word.long, [...(given.get(word.long) ?? []), word.value]);
	}
	const repeated = [...given].filter(([, values]) => new Set(values).size > 1).map(([long]) => long);
	const once = repeated.find((long) => ONCE.includes(long));
	if (once !== undefined) throw usage(`--${once} is given more than once`, names);
	return {
		words: words.filter(
			(word, at) =>
				word.type !== 'option' || !given.has(word.long) || at === words.findLastIndex((each) => isSame(each, word)),
		),
		notices: repeated.map((long) => ({
			code: 'REPEATED',
			message: `--${long} is given more than once: the last one counts`,
		})),
	};
}

function isSame(one: Word, other: Word): boolean {
	return one.type === 'option' && other.type === 'option' && one.long === other.long;
}

interface Reader {
	readonly names: OptionNames;
	/** The next argument, as the value of `option`. */
	readonly next: (option: string) => string;
	readonly notices: Notice[];
	readonly env: Record<string, string>;
}

const HELP: OptionSpec = {
	long: 'help',
	short: 'h',
	value: undefined,
	description: '',
	repeatable: false,
	offer: undefined,
	section: '',
};

function readLong(token: string, reader: Reader): readonly Word[] {
	const at = token.indexOf('=');
	const name = token.slice(2, at === -1 ? undefined : at);
	const inline = at === -1 ? undefined : token.slice(at + 1);
	const found = find(name, `--${name}`, reader.names);
	return wordsOf(found, `--${name}`, needsValue(found) ? (inline ?? reader.next(`--${name}`)) : inline, reader);
}

function readShorts(token: string, reader: Reader): readonly Word[] {
	const words: Word[] = [];
	for (let at = 1; at < token.length; at += 1) {
		const option = `-${token.charAt(at)}`;
		const found = find(token.charAt(at), option, reader.names);
		const left = token.slice(at + 1);
		if (needsValue(found)) {
			const value = left === '' ? reader.next(option) : left.replace(/^=/, '');
			return [...words, ...wordsOf(found, option, value, reader)];
		}
		if (left.startsWith('=')) return [...words, ...wordsOf(found, option, left.slice(1), reader)];
		words.push(...wordsOf(found, option, undefined, reader));
	}
	return words;
}

type Found = { readonly spec: OptionSpec } | { readonly alias: Alias };

function find(name: string, spelled: string, names: OptionNames): Found {
	const spec = [...names.options, HELP].find(({ long, short }) => (spelled.startsWith('--') ? long : short) === name);
	if (spec !== undefined) return { spec };
	const alias = findAlias(name, names) ?? findWithoutEffect(name, names.withoutEffect);
	if (alias !== undefined) return { alias };
	throw unknownOption(name, spelled, names);
}

function needsValue(found: Found): boolean {
	return 'spec' in found ? found.spec.value !== undefined : found.alias.takesValue;
}

function wordsOf(found: Found, spelled: string, value: string | undefined, reader: Reader): readonly Word[] {
	if ('alias' in found) {
		const on = found.alias.takesValue || readBoolean(spelled, value, reader.names);
		reader.notices.push(...noticesOf(found.alias, spelled));
		if (found.alias.variable !== undefined && value !== undefined) reader.env[found.alias.variable] = value;
		return found.alias.words(value ?? '', on);
	}
	const { long } = found.spec;
	if (found.spec.value === undefined) return [{ type: 'flag', long, on: readBoolean(spelled, value, reader.names) }];
	return [{ type: 'option', long, value: value ?? '' }];
}

function noticesOf({ notice }: Alias, spelled: string): readonly Notice[] {
	return notice === undefined ? [] : [{ code: notice.code, message: `${spelled} ${notice.message}` }];
}

/** As Go's strconv.ParseBool; a flag alone is true. */
function readBoolean(spelled: string, text: string | undefined, names: OptionNames): boolean {
	if (text === undefined || /^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
	if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
	throw usage(`${spelled} takes no value but true or false`, names);
}

function unknownOption(name: string, spelled: string, names: OptionNames): BuildError {
	const known = names.options.map(({ long }) => long);
	const near = spelled.startsWith('--') ? closest(name, known) : undefined;
	const advice = near === undefined ? undefined : `Did you mean --${near}?`;
	return usage(`${names.program} ${names.command} has no option ${redactWord(spelled).slice(0, 50)}`, names, advice);
}

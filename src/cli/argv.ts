import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { type Alias, findAlias, whyRefused } from './aliases.js';
import { closest } from './closest.js';
import type { OptionSpec } from './options.js';
import { MARK, type ProgramName, type Word } from './words.js';

/** What a command accepts; `program` is the name under which it was called. */
export interface OptionNames {
	readonly command: string;
	readonly program: ProgramName;
	readonly options: readonly OptionSpec[];
	/** Options of S2I that the command does not take, and why. */
	readonly refused: Readonly<Record<string, string>>;
}

/** A command line: `rest` is what stood behind `--`, `notices` are lines about deprecated options. */
export interface CommandLine {
	readonly words: readonly Word[];
	readonly rest: readonly string[] | undefined;
	readonly notices: readonly string[];
}

/**
 * Reads `argv` as pflag does (`-eA=1`, `-cq`, `-e A=1`, `--env A=1`, `--env=A=1`, `--copy=false`); values may begin with a dash. Throws
 * USAGE for unknown options, with the nearest known one, for those that make no sense without a daemon, and for missing values.
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
	const notices: string[] = [];
	for (const token of tokens) {
		const reader = { names, next, notices };
		if (token.startsWith('--')) words.push(...readLong(token, reader));
		else if (token.startsWith('-') && token.length > 1) words.push(...readShorts(token, reader));
		else words.push({ type: 'positional', value: token });
	}
	return { words, rest: end === -1 ? undefined : argv.slice(end + 1), notices };
}

/** `words` in the one spelling that cmd-ts gets: `--name=:value`, `--name`, `:value`. The last flag of a name wins. */
export function spellWords(words: readonly Word[]): readonly string[] {
	const flags = new Map<string, boolean>();
	for (const word of words) if (word.type === 'flag') flags.set(word.long, word.on);
	const spelled = words.flatMap((word) => {
		if (word.type === 'flag') return [];
		return word.type === 'option' ? [`--${word.long}=${MARK}${word.value}`] : [`${MARK}${word.value}`];
	});
	return [...spelled, ...[...flags].filter(([, on]) => on).map(([long]) => `--${long}`)];
}

/** USAGE with a hint that leads to the help of the command. */
export function usage(message: string, names: Pick<OptionNames, 'command'>, advice?: string): BuildError {
	return new BuildError('USAGE', message, { hint: advice ?? `See s2oci ${names.command} --help.` });
}

interface Reader {
	readonly names: OptionNames;
	/** The next argument, as the value of `option`. */
	readonly next: (option: string) => string;
	readonly notices: string[];
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
	const alias = findAlias(name, names);
	if (alias !== undefined) return { alias };
	throw unknownOption(name, spelled, names);
}

function needsValue(found: Found): boolean {
	return 'spec' in found ? found.spec.value !== undefined : found.alias.takesValue;
}

function wordsOf(found: Found, spelled: string, value: string | undefined, reader: Reader): readonly Word[] {
	if ('alias' in found) {
		const on = found.alias.takesValue || readBoolean(spelled, value, reader.names);
		reader.notices.push(`${spelled} is deprecated: ${found.alias.instead}`);
		return found.alias.words(value ?? '', on);
	}
	const { long } = found.spec;
	if (found.spec.value === undefined) return [{ type: 'flag', long, on: readBoolean(spelled, value, reader.names) }];
	return [{ type: 'option', long, value: value ?? '' }];
}

/** As Go's strconv.ParseBool; a flag alone is true. */
function readBoolean(spelled: string, text: string | undefined, names: OptionNames): boolean {
	if (text === undefined || /^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
	if (/^(?:0|f|F|false|FALSE|False)$/.test(text)) return false;
	throw usage(`${spelled} takes no value but true or false`, names);
}

function unknownOption(name: string, spelled: string, names: OptionNames): BuildError {
	const why = names.refused[name] ?? whyRefused(name);
	if (why !== undefined) return usage(`s2oci ${names.command} does not take ${spelled}: ${why}`, names);
	const known = names.options.map(({ long }) => long);
	const near = spelled.startsWith('--') ? closest(name, known) : undefined;
	const advice = near === undefined ? undefined : `Did you mean --${near}?`;
	return usage(`s2oci ${names.command} has no option ${redact(spelled).slice(0, 50)}`, names, advice);
}

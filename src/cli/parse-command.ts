import { stripVTControlCharacters } from 'node:util';
import { parse } from 'cmd-ts';
import type { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { type OptionNames, spellWords, splitArguments, usage } from './argv.js';
import { renderHelp } from './help.js';
import { commandOf, type Grammar, optionsOf } from './options.js';
import { MARK, type ProgramName, type Word } from './words.js';

/** The arguments of one command. */
export interface ParsedArguments<T> {
	readonly type: 'arguments';
	readonly value: T;
	/** What stood behind `--`. */
	readonly rest: readonly string[] | undefined;
	/** The arguments as they were given, with what `complete` added. */
	readonly words: readonly Word[];
	/** Lines for the user, about deprecated options and about what `complete` added. */
	readonly notices: readonly string[];
}

/** What a command line asks of one command: its help, or its arguments. */
export type Parsed<T> = { readonly type: 'help'; readonly text: string } | ParsedArguments<T>;

/** What was added to the words of a command line, and lines that say so. */
export interface Completed {
	readonly words: readonly Word[];
	readonly notices: readonly string[];
}

/** How {@link parseCommand} differs from its default. */
export interface ParseOptions {
	/** The name under which the program was called. */
	readonly program?: ProgramName;
	/** Adds to what was typed, before anything is required of it. */
	readonly complete?: (words: readonly Word[]) => Promise<Completed>;
}

/** Parses `argv` for the command of `grammar`. Throws USAGE with one clear line. */
export async function parseCommand<T>(
	grammar: Grammar<T>,
	argv: readonly string[],
	{ program = 's2oci', complete }: ParseOptions = {},
): Promise<Parsed<T>> {
	const { name, refused = {} } = grammar;
	const names = { command: name, program, options: optionsOf(grammar), refused };
	const { words: typed, rest, notices } = splitArguments(argv, names);
	if (typed.some((word) => word.type === 'flag' && word.long === 'help' && word.on)) {
		return { type: 'help', text: renderHelp(grammar) };
	}
	const completed = await complete?.(typed);
	const words = completed?.words ?? typed;
	const result = await parse(commandOf(grammar), [...spellWords(words)]);
	if (result._tag === 'error') throw describeProblem(result.error.errors, names);
	return {
		type: 'arguments',
		value: result.value as T,
		rest,
		words,
		notices: [...notices, ...(completed?.notices ?? [])],
	};
}

interface Problem {
	readonly message: string;
	readonly nodes: readonly { readonly raw: string }[];
}

function describeProblem(problems: readonly Problem[], names: OptionNames): BuildError {
	const extra = problems.find(({ message }) => message === 'Unknown arguments');
	if (extra !== undefined) {
		const words = extra.nodes.map(({ raw }) => redact(raw.slice(MARK.length)).slice(0, 100)).join(' ');
		return usage(`s2oci ${names.command} does not know what to do with: ${words}`, names);
	}
	const message = stripVTControlCharacters(problems[0]?.message ?? 'the arguments make no sense');
	const [option] = (problems[0]?.nodes ?? []).map(({ raw }) => raw.replace(/=.*/s, ''));
	if (message.startsWith('Too many times')) return usage(`${option ?? 'an option'} is given more than once`, names);
	const missing = /^No value provided for (.+)$/.exec(message);
	if (missing !== null) return usage(`s2oci ${names.command} needs <${missing[1] ?? ''}>`, names);
	return usage(redact(message.split('\n')[0] ?? ''), names);
}

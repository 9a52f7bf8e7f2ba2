import { stripVTControlCharacters } from 'node:util';
import { parse } from 'cmd-ts';
import type { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import { type OptionNames, spellWords, splitArguments, usage } from './argv.js';
import { renderHelp } from './help.js';
import { commandOf, type Grammar, optionsOf, positionalsOf } from './options.js';
import { MARK, type Notice, type ProgramName, type Word } from './words.js';

/** The arguments of one command. */
export interface ParsedArguments<T> {
	readonly type: 'arguments';
	readonly value: T;
	/** What stood behind `--`, for commands that take that; else it is among `words`. */
	readonly rest: readonly string[];
	/** The arguments as they were given, with what `complete` added. */
	readonly words: readonly Word[];
	/** Lines for the user, about options and about what `complete` added. */
	readonly notices: readonly Notice[];
	/** Environment variables that options stand for. */
	readonly env: Readonly<Record<string, string>>;
}

/** What a command line asks of one command: its help, or its arguments. */
export type Parsed<T> = { readonly type: 'help'; readonly text: string } | ParsedArguments<T>;

/** What was added to the words of a command line, and lines that say so. */
export interface Completed {
	readonly words: readonly Word[];
	readonly notices: readonly Notice[];
}

/** How {@link parseCommand} differs from its default. */
export interface ParseOptions {
	/** The name under which the program was called. */
	readonly program?: ProgramName;
	/** Whether what stands behind `--` is for something else. */
	readonly takesRest?: boolean;
	/** Adds to what was typed, before anything is required of it. */
	readonly complete?: (words: readonly Word[], program: ProgramName) => Promise<Completed>;
}

/** Parses `argv` for the command of `grammar`. Throws USAGE with one clear line. */
export async function parseCommand<T>(
	grammar: Grammar<T>,
	argv: readonly string[],
	{ program = 's2oci', takesRest = false, complete }: ParseOptions = {},
): Promise<Parsed<T>> {
	const names = {
		command: grammar.name,
		program,
		options: optionsOf(grammar),
		withoutEffect: grammar.withoutEffect ?? new Map(),
	};
	const { words: typed, rest, notices, env } = readArguments(argv, grammar, names, takesRest);
	if (typed.some((word) => word.type === 'flag' && word.long === 'help' && word.on)) {
		return { type: 'help', text: renderHelp(grammar, program) };
	}
	const completed = await complete?.(typed, program);
	const words = completed?.words ?? typed;
	const result = await parse(commandOf(grammar), [...spellWords(words)]);
	if (result._tag === 'error') throw describeProblem(result.error.errors, names, takesRest);
	return {
		type: 'arguments',
		value: result.value as T,
		rest,
		words,
		env,
		notices: [...notices, ...(completed?.notices ?? [])],
	};
}

/** What stands behind `--` is arguments like any others, unless the command takes it for something else. */
function readArguments<T>(
	argv: readonly string[],
	grammar: Grammar<T>,
	names: OptionNames,
	takesRest: boolean,
): Pick<ParsedArguments<T>, 'words' | 'rest' | 'notices' | 'env'> {
	const { words, rest = [], notices, env } = splitArguments(argv, names);
	const behind = takesRest ? [] : rest.map((value): Word => ({ type: 'positional', value }));
	const passed = passOver([...words, ...behind], grammar, names.program);
	return { words: passed.words, rest, notices: [...notices, ...passed.notices], env };
}

/** S2I says nothing of arguments that are too many. Under its name they are left out with a notice; under ours they are a mistake. */
function passOver<T>(words: readonly Word[], grammar: Grammar<T>, program: ProgramName): Completed {
	const known = positionalsOf(grammar).length;
	const extra = words.filter(({ type }) => type === 'positional').slice(known);
	if (program === 's2oci' || grammar.passesOver !== true || extra.length === 0) return { words, notices: [] };
	const message = `what follows the ${known} arguments of ${grammar.name} has no effect`;
	return { words: words.filter((word) => !extra.includes(word)), notices: [{ code: 'WITHOUT_EFFECT', message }] };
}

interface Problem {
	readonly message: string;
	readonly nodes: readonly { readonly raw: string }[];
}

function describeProblem(problems: readonly Problem[], names: OptionNames, takesRest: boolean): BuildError {
	const extra = problems.find(({ message }) => message === 'Unknown arguments');
	if (extra !== undefined) {
		const words = extra.nodes.map(({ raw }) => redact(raw.slice(MARK.length)).slice(0, 100)).join(' ');
		const advice = takesRest
			? `What runs in the image stands behind --: ${names.program} ${names.command} IMAGE -- ${words}`
			: undefined;
		return usage(`${names.program} ${names.command} does not know what to do with: ${words}`, names, advice);
	}
	const message = stripVTControlCharacters(problems[0]?.message ?? 'the arguments make no sense');
	const missing = /^No value provided for (.+)$/.exec(message);
	if (missing !== null) return usage(`${names.program} ${names.command} needs <${missing[1] ?? ''}>`, names);
	return usage(redact(message.split('\n')[0] ?? ''), names);
}

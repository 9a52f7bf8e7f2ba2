import type { BuildError } from '../errors.js';
import type { BuildEvent } from '../pipeline/events.js';
import type { BuildRequest } from '../pipeline/request.js';
import { redactWord } from '../redact.js';
import { type OptionNames, splitArguments, usage } from './argv.js';
import { renderHelp } from './help.js';
import type { CommandIo } from './io.js';
import {
	type ArgumentTree,
	type Given,
	type Grammar,
	isOption,
	type OptionSpec,
	optionsOf,
	type PositionalSpec,
	positionalsOf,
	readValues,
	type Values,
} from './options.js';
import type { Notice, ProgramName, Word } from './words.js';

/** What every command gets besides its arguments. */
export interface CommandContext {
	readonly io: CommandIo;
	readonly program: ProgramName;
}

/** A command: gets the arguments behind its name, resolves with the exit status. */
export type Command = (argv: readonly string[], context: CommandContext) => Promise<number>;

/** Everything about one command. */
export interface Definition<A extends ArgumentTree> extends Grammar<A>, Pick<ParseOptions, 'takesRest' | 'complete'> {
	/** Does its work; resolves with the exit status. */
	readonly perform: (line: ParsedArguments<A>, context: CommandContext) => Promise<number>;
}

const STI = 'the name sti is deprecated: call s2i or s2oci.';

/** The arguments of one command. */
export interface ParsedArguments<A> {
	readonly type: 'arguments';
	readonly value: Values<A>;
	/** What stood behind `--`, for commands that take that; else it is among `words`. */
	readonly rest: readonly string[];
	/** The arguments as they were given, with what `complete` added. */
	readonly words: readonly Word[];
	/** What `complete` adds to a build that no word says. */
	readonly adapt: (request: BuildRequest) => BuildRequest;
	/** What is to be told of the options and of what `complete` added. */
	readonly events: readonly BuildEvent[];
	/** `env`, with what options say of it. */
	readonly env: Readonly<Record<string, string | undefined>>;
}

/** What a command line asks of one command: its help, or its arguments. */
export type Parsed<A> = { readonly type: 'help'; readonly text: string } | ParsedArguments<A>;

/** What was added to the words of a command line, and lines that say so. */
export interface Completed {
	readonly words: readonly Word[];
	readonly notices: readonly Notice[];
	/** Adds to a build what no word says. */
	readonly adapt?: (request: BuildRequest) => BuildRequest;
}

/** How {@link parseCommand} differs from its default. */
export interface ParseOptions {
	/** The name under which the program was called. */
	readonly program?: ProgramName;
	readonly env?: ParsedArguments<unknown>['env'];
	/** Whether what stands behind `--` is for something else. */
	readonly takesRest?: boolean;
	/** Adds to what was typed, before anything is required of it. */
	readonly complete?: ((words: readonly Word[], program: ProgramName) => Promise<Completed>) | undefined;
}

/** Parses `argv` for the command of `grammar`. Throws USAGE with one clear line. */
export async function parseCommand<A extends ArgumentTree>(
	grammar: Grammar<A>,
	argv: readonly string[],
	{ program = 's2oci', env = {}, takesRest = false, complete }: ParseOptions = {},
): Promise<Parsed<A>> {
	const names = {
		command: grammar.name,
		program,
		options: optionsOf(grammar),
		withoutEffect: grammar.withoutEffect ?? new Map(),
	};
	const typed = readArguments(argv, grammar, names, takesRest);
	if (typed.words.some((word) => word.type === 'flag' && word.long === 'help' && word.on)) {
		return { type: 'help', text: renderHelp(grammar, program) };
	}
	const completed: Completed = (await complete?.(typed.words, program)) ?? { words: typed.words, notices: [] };
	const { words, notices, adapt = asItIs } = completed;
	const given = distribute(words, grammar, { names, takesRest });
	const old: readonly Notice[] = program === 'sti' ? [{ code: 'DEPRECATED', message: STI }] : [];
	const events = [...old, ...typed.notices, ...notices].map((notice): BuildEvent => ({ type: 'warning', ...notice }));
	const all = { ...env, ...typed.env };
	const reading = { env: all, program, emit: (event: BuildEvent) => void events.push(event) };
	const value = readValues(grammar.args, given, reading);
	return { type: 'arguments', value, rest: typed.rest, words, env: all, events, adapt };
}

function asItIs(request: BuildRequest): BuildRequest {
	return request;
}

/** What stands behind `--` is arguments like any others, unless the command takes it for something else. */
function readArguments<A extends ArgumentTree>(
	argv: readonly string[],
	grammar: Grammar<A>,
	names: OptionNames,
	takesRest: boolean,
): Completed & { readonly rest: readonly string[]; readonly env: Readonly<Record<string, string>> } {
	const { words, rest = [], notices, env } = splitArguments(argv, names);
	const behind = takesRest ? [] : rest.map((value): Word => ({ type: 'positional', value }));
	const passed = passOver([...words, ...behind], grammar, names.program);
	return { words: passed.words, rest, notices: [...notices, ...passed.notices], env };
}

/** S2I says nothing of arguments that are too many. Under its name they are left out with a notice; under ours they are a mistake. */
function passOver<A extends ArgumentTree>(
	words: readonly Word[],
	grammar: Grammar<A>,
	program: ProgramName,
): Completed {
	const known = positionalsOf(grammar).length;
	const extra = words.filter(({ type }) => type === 'positional').slice(known);
	if (program === 's2oci' || grammar.passesOver !== true || extra.length === 0) return { words, notices: [] };
	const message = `what follows the ${known} arguments of ${grammar.name} has no effect`;
	return { words: words.filter((word) => !extra.includes(word)), notices: [{ code: 'WITHOUT_EFFECT', message }] };
}

/** Which of `words` each argument was given; the last flag of a name counts. Throws USAGE for too few and too many. */
function distribute<A extends ArgumentTree>(
	words: readonly Word[],
	grammar: Grammar<A>,
	line: { readonly names: OptionNames; readonly takesRest: boolean },
): (spec: OptionSpec | PositionalSpec) => Given {
	const typed = words.flatMap((word) => (word.type === 'positional' ? [word.value] : []));
	const positionals = new Map(
		positionalsOf(grammar).map((spec) => [spec, spec.several ? typed.splice(0) : typed.splice(0, 1)] as const),
	);
	if (typed.length > 0) throw tooMany(typed, line.names, line.takesRest);
	const missing = [...positionals].find(([{ required }, texts]) => required && texts.length === 0)?.[0];
	if (missing !== undefined) {
		throw usage(`${line.names.program} ${grammar.name} needs <${missing.value}>`, line.names);
	}
	return (spec) => {
		if (!isOption(spec)) return { texts: positionals.get(spec) ?? [], on: false };
		const own = words.filter((word) => word.type !== 'positional' && word.long === spec.long);
		const last = own.at(-1);
		return {
			texts: own.flatMap((word) => (word.type === 'option' ? [word.value] : [])),
			on: last?.type === 'flag' && last.on,
		};
	};
}

function tooMany(typed: readonly string[], names: OptionNames, takesRest: boolean): BuildError {
	const words = typed.map((text) => redactWord(text).slice(0, 100)).join(' ');
	const advice = takesRest
		? `What runs in the image stands behind --: ${names.program} ${names.command} IMAGE -- ${words}`
		: undefined;
	return usage(`${names.program} ${names.command} does not know what to do with: ${words}`, names, advice);
}

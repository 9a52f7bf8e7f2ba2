import type { CommandIo } from './io.js';
import type { ArgumentTree, Grammar } from './options.js';
import type { ParsedArguments, ParseOptions } from './parse-command.js';
import type { ProgramName } from './words.js';

/** What every command gets besides its arguments. */
export interface CommandContext {
	readonly io: CommandIo;
	readonly program: ProgramName;
}

/** A command: gets the arguments behind its name, resolves with the exit status. */
export type Command = (argv: readonly string[], context: CommandContext) => Promise<number>;

/** The work of a command with arguments; resolves with the exit status. */
export type Perform<A> = (line: ParsedArguments<A>, context: CommandContext) => Promise<number>;

/** Everything about one command. */
export interface Definition<A extends ArgumentTree> {
	readonly grammar: Grammar<A>;
	readonly perform: Perform<A>;
	/** Whether what stands behind `--` is for something else. */
	readonly takesRest?: boolean;
	/** Adds to what was typed, before anything is required of it. */
	readonly complete?: ParseOptions['complete'];
}

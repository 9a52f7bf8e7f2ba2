import type { BuildEvent } from '../pipeline/events.js';
import type { RequestContext } from './host-request.js';
import type { CommandIo } from './io.js';
import type { Grammar } from './options.js';
import type { Completed, ParsedArguments } from './parse-command.js';
import type { Notice, ProgramName, Word } from './words.js';

const STI = 'the name sti is deprecated: call s2i or s2oci.';

/** What every command gets besides its arguments. */
export interface CommandContext {
	readonly io: CommandIo;
	readonly program: ProgramName;
}

/** A command: gets the arguments behind its name, resolves with the exit status. */
export type Command = (argv: readonly string[], context: CommandContext) => Promise<number>;

/** The work of a command with arguments; resolves with the exit status. */
export type Perform<T> = (line: ParsedArguments<T>, context: CommandContext) => Promise<number>;

/** Everything about one command. */
export interface Definition<T> {
	readonly grammar: Grammar<T>;
	readonly perform: Perform<T>;
	/** Whether what stands behind `--` is for something else. */
	readonly takesRest?: boolean;
	/** Adds to what was typed, before anything is required of it. */
	readonly complete?: (words: readonly Word[], program: ProgramName) => Promise<Completed>;
}

/** A reader's context, and the events that tell of the line's options and of what the reader finds. */
export function beginReading(
	{ notices }: Pick<ParsedArguments<unknown>, 'notices'>,
	{ io, program }: CommandContext,
): { readonly reading: RequestContext; readonly events: BuildEvent[] } {
	const old: readonly Notice[] = program === 'sti' ? [{ code: 'DEPRECATED', message: STI }] : [];
	const events = [...old, ...notices].map((notice): BuildEvent => ({ type: 'warning', ...notice }));
	return { events, reading: { env: io.env, program, emit: (event) => events.push(event) } };
}

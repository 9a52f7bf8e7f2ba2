import type { Fault } from './fault.js';

/** The part of `process` that a command may use. */
export interface CommandIo {
	readonly stdout: NodeJS.WritableStream;
	readonly stderr: NodeJS.WritableStream;
	readonly env: Readonly<Record<string, string | undefined>>;
	/** As `process.argv`: its second word is the path of the program. */
	readonly argv?: readonly string[] | undefined;
	/** Aborts the command from outside, besides SIGINT and SIGTERM. */
	readonly signal?: AbortSignal | undefined;
	/** What nobody caught in this process. */
	readonly fault?: Fault | undefined;
}

/** `io` with another environment and all else as it is; it may be `process`, which cannot be spread. */
export function withEnvironment(io: CommandIo, env: CommandIo['env']): CommandIo {
	const { stdout, stderr, argv, signal, fault } = io;
	return { stdout, stderr, argv, signal, fault, env } satisfies Record<keyof CommandIo, unknown>;
}

/** Whether `stream` is a terminal. */
export function isTerminal(stream: NodeJS.WritableStream): boolean {
	return 'isTTY' in stream && stream.isTTY === true;
}

/** Whether stderr gets colours: on terminals, unless NO_COLOR is set (no-color.org). */
export function useColor(io: CommandIo): boolean {
	return isTerminal(io.stderr) && !io.env['NO_COLOR'];
}

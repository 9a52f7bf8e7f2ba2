import { styleText } from 'node:util';
import { isBuildError, messageOf } from '../errors.js';
import { redact } from '../redact.js';
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

/**
 * `error` as the lines a person reads: what failed, then what to do now. Anything but a BuildError is a bug and shows its stack.
 * Secrets in URLs and control characters are taken out. Ends with a line break.
 */
export function renderError(error: unknown, color: boolean): string {
	const label = (text: string, style: 'red' | 'cyan') =>
		color ? styleText(style, text, { validateStream: false }) : text;
	if (isBuildError(error)) {
		const hint = error.hint === undefined ? '' : `${label('hint:', 'cyan')} ${redact(error.hint)}\n`;
		return `${label('error:', 'red')} ${redact(error.message)}\n${hint}`;
	}
	const stack = error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error);
	return [
		`${label('error:', 'red')} ${redact(stack)}`,
		`${label('hint:', 'cyan')} this is a bug in s2oci, please report it with the lines above`,
		'',
	].join('\n');
}

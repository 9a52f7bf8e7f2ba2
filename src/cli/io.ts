import { styleText } from 'node:util';
import { isBuildError, messageOf } from '../errors.js';
import { redact } from '../redact.js';

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

/**
 * What was thrown out of a callback, an event handler or a timer of this process, or rejected with nobody to hear it: always a bug. Only
 * the first counts, since the others mostly come of it.
 */
export interface Fault {
	/** Aborted with the fault as its reason, so that the running command ends as after any other failure. */
	readonly signal: AbortSignal;
	/** The fault for whoever tells the user; undefined while there is none, and once somebody took it. */
	readonly take: () => Error | undefined;
	/** Resolves when the command has had its time to end. */
	readonly overdue: Promise<undefined>;
}

/** For a callback of 30 s, the worker's clean-up, and what gives up after 30 s. */
const END_LIMIT_MS = 90_000;

/** Listens from now on until this process ends; `onFault` hears of the first fault. */
export function listenForFaults(onFault: () => void): Fault {
	const controller = new AbortController();
	const { promise: overdue, resolve } = Promise.withResolvers<undefined>();
	let untold: Error | undefined;
	const listen = (thrown: unknown) => {
		if (controller.signal.aborted) return;
		untold = asBug(thrown);
		// What waits for a callback that threw would leave nothing to wait for, and the process would end at once.
		setTimeout(resolve, END_LIMIT_MS, undefined);
		controller.abort(untold);
		onFault();
	};
	process.on('uncaughtException', listen);
	process.on('unhandledRejection', listen);
	return {
		signal: controller.signal,
		take: () => {
			const taken = untold;
			untold = undefined;
			return taken;
		},
		overdue,
	};
}

/** A BuildError belongs to who asked for the work; one that nobody caught is a bug as well. */
function asBug(thrown: unknown): Error {
	if (thrown instanceof Error && !isBuildError(thrown)) return thrown;
	const bug = new Error(`nobody caught ${thrown instanceof Error ? thrown.message : messageOf(thrown)}`);
	if (thrown instanceof Error && thrown.stack !== undefined) bug.stack = thrown.stack;
	return bug;
}

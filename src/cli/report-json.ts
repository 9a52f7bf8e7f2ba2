import { isBuildError, messageOf } from '../errors.js';
import type { BuildEvent } from '../pipeline/events.js';
import { redact } from '../redact.js';
import type { Report, ReportOptions } from './report.js';

const PROGRESS_MS = 1000;

/**
 * A report for programs: each event is one line of JSON, at last an `error` if there is one and the `result` (docs/events.md).
 * Output is UTF-8 text with U+FFFD for what is not; progress comes at most once a second for each blob.
 */
export function openJsonReport(options: ReportOptions): Report {
	const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
	const isDue = openThrottle(options.now);
	const writeLine = (value: object) => options.write(`${JSON.stringify(value, redactStrings)}\n`);
	return {
		emit: (event) => {
			if (event.type === 'output') {
				if (options.quiet && event.from === 'stdout') return;
				const text = decoders[event.from].decode(event.chunk, { stream: true });
				// What assemble prints is the user's own, and part of the text may be an escape sequence that has yet to end.
				if (text !== '') options.write(`${JSON.stringify({ type: 'output', from: event.from, text })}\n`);
			} else if (isWanted(event, options) && (event.type !== 'progress' || isDue(event))) writeLine(event);
		},
		finish: (result, error) => {
			if (error !== undefined) writeLine(describeError(error));
			if (result !== undefined) writeLine({ type: 'result', ...result });
		},
	};
}

function isWanted(event: BuildEvent, options: ReportOptions): boolean {
	if (event.type === 'log') return event.level <= options.loglevel;
	return !(options.quiet && event.type === 'progress');
}

function openThrottle(now: () => number): (event: Extract<BuildEvent, { readonly type: 'progress' }>) => boolean {
	const shown = new Map<string, number>();
	return (event) => {
		const key = `${event.transfer} ${event.digest ?? ''}`;
		const isLast = event.total !== undefined && event.done >= event.total;
		const last = shown.get(key);
		if (!isLast && last !== undefined && now() - last < PROGRESS_MS) return false;
		shown.set(key, now());
		return true;
	};
}

function describeError(error: unknown): object {
	if (!isBuildError(error)) {
		const stack = error instanceof Error ? error.stack : undefined;
		return { type: 'error', code: 'BUG', message: messageOf(error), stack };
	}
	return { type: 'error', code: error.code, message: error.message, hint: error.hint };
}

function redactStrings(_key: string, value: unknown): unknown {
	return typeof value === 'string' ? redact(value) : value;
}

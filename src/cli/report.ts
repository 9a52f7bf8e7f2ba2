import { isBuildError, messageOf } from '../errors.js';
import type { BuildEvent, Emit, Rung } from '../pipeline/events.js';
import type { BuildResult } from '../pipeline/result.js';
import { redact } from '../redact.js';
import { formatBytes, formatDuration } from './format.js';

/** Shows what a command does, on stderr. */
export interface Report {
	readonly emit: Emit;
	/** Ends the report: the result when there is one, and the error unless it is undefined. Call it exactly once. */
	readonly finish: (result: BuildResult | undefined, error: unknown) => void;
}

/** What every kind of report is told. */
export interface ReportOptions {
	readonly write: (text: string | Uint8Array) => void;
	/** 0-5. */
	readonly loglevel: number;
	/** Hides assemble's stdout, progress and steps. */
	readonly quiet: boolean;
	readonly color: boolean;
	readonly columns: () => number;
	/** A clock in milliseconds. */
	readonly now: () => number;
}

/** `text` as one line without secrets and control characters, so that it cannot pass for lines of ours. */
function oneLine(text: string): string {
	return redact(text).replace(/\s+/g, ' ').trim();
}

const LEVELS = { warning: 0, retry: 0, stage: 1, rung: 1, blob: 4, progress: 0, output: 0 } as const;

/** The line that `event` is worth at `loglevel`, or undefined. Progress and assemble's output are no lines. */
export function describeEvent(event: BuildEvent, loglevel: number): string | undefined {
	if ((event.type === 'log' ? event.level : LEVELS[event.type]) > loglevel) return undefined;
	switch (event.type) {
		case 'warning':
			return `warning: ${oneLine(event.message)}`;
		case 'retry':
			return `retry ${event.attempt} of ${oneLine(event.what)} in ${formatDuration(event.afterMs)}: ${oneLine(event.reason)}`;
		case 'log':
			return oneLine(event.message);
		case 'stage':
			return describeStage(event);
		case 'rung':
			return describeRung(event.rung);
		case 'blob':
			return `${event.transfer} ${event.digest.slice(0, 19)} ${formatBytes(event.size)}: ${event.status}`;
		case 'progress':
		case 'output':
			return undefined;
	}
}

/** The last line of a successful build. */
export function describeResult(result: BuildResult, ms: number): string {
	const { layer, bytes, name, digest, reused } = result;
	const parts = [
		layer &&
			`layer ${formatBytes(layer.size)} (${layer.added} added, ${layer.changed} changed, ${layer.deleted} deleted)`,
		`downloaded ${formatBytes(bytes.downloaded)}`,
		`uploaded ${formatBytes(bytes.uploaded)}`,
		bytes.mounted > 0 && `${formatBytes(bytes.mounted)} mounted`,
	].filter(Boolean);
	return `${reused === true ? 'named again' : 'built'} ${name ?? digest ?? 'the image'} in ${formatDuration(ms)}: ${parts.join(', ')}`;
}

/** Stages in which a program prints. */
const RUNNING: ReadonlySet<string> = new Set(['assemble', 'before-push']);

function describeStage(event: Extract<BuildEvent, { readonly type: 'stage' }>): string | undefined {
	if (event.status === 'start') return RUNNING.has(event.stage) ? `${event.stage} begins` : undefined;
	return `${event.stage} took ${formatDuration(event.ms)}${event.detail === undefined ? '' : `: ${oneLine(event.detail)}`}`;
}

/** Such as `rung 5 (chroot on a copy): this root has no CAP_SYS_ADMIN, …; better with: --cap-add SYS_ADMIN`. */
function describeRung({ number, sandbox, rootfs, reason, advice }: Rung): string {
	const how = { overlay: `${sandbox} on an overlay`, copy: `${sandbox} on a copy`, 'in-place': 'in place' }[rootfs];
	const better = advice === undefined ? '' : `; better with: ${advice}`;
	return `rung ${number} (${how}): ${oneLine(reason + better)}`;
}

const PROGRESS_MS = 1000;

/**
 * A report for programs: each event is one line of JSON, at last an `error` if there is one and the `result` (docs/events.md).
 * Output is UTF-8 text with U+FFFD for what is not; progress comes at most once a second for each blob.
 */
export function openJsonReport(options: ReportOptions): Report {
	const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
	const isDue = openThrottle(options.now);
	const redacted = (_key: string, value: unknown) => (typeof value === 'string' ? redact(value) : value);
	const writeLine = (value: object) => options.write(`${JSON.stringify(value, redacted)}\n`);
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

import { isBuildError, messageOf } from '../errors.js';
import type { BuildEvent, Emit, Rung, Stage, Transfer } from '../pipeline/events.js';
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
			return describeBlob(event);
		case 'progress':
		case 'output':
			return undefined;
	}
}

/** `120 MB of 341 MB, 12.0 MB/s`. */
export function describeTransfer({ done, total, rate }: TransferState): string {
	const size = total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`;
	return `${size}, ${formatBytes(rate)}/s`;
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

function describeStage(event: Extract<BuildEvent, { readonly type: 'stage' }>): string | undefined {
	if (event.status === 'start') return event.stage === 'assemble' ? 'assemble begins' : undefined;
	return `${event.stage} took ${formatDuration(event.ms)}${event.detail === undefined ? '' : `: ${oneLine(event.detail)}`}`;
}

function describeBlob({ transfer, digest, size, status }: Extract<BuildEvent, { readonly type: 'blob' }>): string {
	return `${transfer} ${digest.slice(0, 19)} ${formatBytes(size)}: ${status}`;
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

/** How far all blobs of one kind of transfer are together. Bytes, and bytes a second since the transfer began. */
export interface TransferState {
	readonly transfer: Transfer;
	readonly done: number;
	/** Undefined as long as one of the sizes is unknown. */
	readonly total: number | undefined;
	readonly rate: number;
	readonly active: boolean;
}

interface Item {
	done: number;
	total: number | undefined;
	finished: boolean;
}

/** Adds up the `blob` and `progress` events of a build. */
interface Transfers {
	readonly note: (event: BuildEvent) => void;
	readonly read: (transfer: Transfer) => TransferState | undefined;
	/** What moves bytes right now, in the order of a build. */
	readonly active: () => readonly TransferState[];
}

/** Unpacking and packing do not know their size beforehand: they end with their stage. */
const ENDED_BY: Partial<Record<Stage, Transfer>> = { pull: 'unpack', pack: 'pack' };
const ORDER: readonly Transfer[] = ['pull', 'unpack', 'pack', 'push'];

/** Transfers that have not begun; `now` is a clock in milliseconds. */
export function openTransfers(now: () => number): Transfers {
	const kinds = new Map<Transfer, { readonly since: number; readonly items: Map<string, Item> }>();
	const itemOf = (transfer: Transfer, digest = ''): Item => {
		const kind = kinds.get(transfer) ?? { since: now(), items: new Map<string, Item>() };
		kinds.set(transfer, kind);
		const item = kind.items.get(digest) ?? { done: 0, total: undefined, finished: false };
		kind.items.set(digest, item);
		return item;
	};
	const read = (transfer: Transfer): TransferState | undefined => {
		const kind = kinds.get(transfer);
		if (kind === undefined) return undefined;
		return { transfer, ...sum([...kind.items.values()], now() - kind.since) };
	};
	return {
		note: (event) => {
			if (event.type === 'blob') noteBlob(event, itemOf);
			if (event.type === 'stage' && event.status === 'done') {
				const ended = ENDED_BY[event.stage];
				const items = ended === undefined ? undefined : kinds.get(ended)?.items;
				for (const item of items?.values() ?? []) item.finished = true;
			}
			if (event.type === 'progress') {
				const item = itemOf(event.transfer, event.digest);
				item.done = event.done;
				item.total = event.total ?? item.total;
				item.finished = item.total !== undefined && item.done >= item.total;
			}
		},
		read,
		active: () => ORDER.flatMap((transfer) => read(transfer) ?? []).filter((state) => state.active),
	};
}

function noteBlob(
	event: Extract<BuildEvent, { readonly type: 'blob' }>,
	itemOf: (transfer: Transfer, digest: string) => Item,
): void {
	if (event.status === 'present' || event.status === 'mounted') return;
	const item = itemOf(event.transfer, event.digest);
	item.total ??= event.size;
	item.finished = event.status === 'done';
	if (item.finished) item.done = item.total;
}

function sum(items: readonly Item[], ms: number): Omit<TransferState, 'transfer'> {
	const done = items.reduce((bytes, item) => bytes + item.done, 0);
	const known = items.every((item) => item.total !== undefined);
	return {
		done,
		total: known ? items.reduce((bytes, item) => bytes + (item.total ?? 0), 0) : undefined,
		rate: ms > 0 ? (done * 1000) / ms : 0,
		active: items.some((item) => !item.finished),
	};
}

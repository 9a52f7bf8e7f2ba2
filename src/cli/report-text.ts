import { stripVTControlCharacters, styleText } from 'node:util';
import type { BuildEvent, Stage, Transfer } from '../pipeline/events.js';
import { formatBytes } from './format.js';
import { renderError } from './io.js';
import { describeEvent, describeResult, type Report, type ReportOptions } from './report.js';

const FRAME_MS = 100;
const BAR_WIDTH = 24;
const NEWLINE = 0x0a;

/**
 * A report for terminals: bars for what moves bytes, drawn at most ten times a second below the lines and assemble's output, which
 * is passed on untouched. The cursor is never hidden, so that nothing has to be fixed after a kill.
 */
export function openTtyReport(options: ReportOptions): Report {
	const began = options.now();
	const transfers = openTransfers(options.now);
	let drawn = 0;
	let drawnAt = Number.NEGATIVE_INFINITY;
	let atLineStart = true;
	const erase = () => {
		if (drawn > 0) options.write(`\x1b[${drawn}A\r\x1b[J`);
		drawn = 0;
	};
	const draw = () => {
		if (!atLineStart || options.quiet) return;
		const lines = transfers.active().map((state) => renderBar(state, options));
		erase();
		if (lines.length > 0) options.write(`${lines.join('\n')}\n`);
		drawn = lines.length;
		drawnAt = options.now();
	};
	const writeAbove = (text: string | Uint8Array, endsLine: boolean) => {
		erase();
		if (!atLineStart && typeof text === 'string') options.write('\n');
		options.write(text);
		atLineStart = endsLine;
	};
	const emit = (event: BuildEvent) => {
		transfers.note(event);
		const line = describeEvent(event, options.quiet ? 0 : options.loglevel);
		if (line !== undefined) writeAbove(`${paint(line, event, options.color)}\n`, true);
		if (event.type === 'output' && event.chunk.length > 0 && !(options.quiet && event.from === 'stdout')) {
			writeAbove(event.chunk, event.chunk.at(-1) === NEWLINE);
		}
		if (drawn === 0 ? transfers.active().length > 0 : options.now() - drawnAt >= FRAME_MS || event.type === 'blob')
			draw();
	};
	return {
		emit,
		finish: (result, error) => {
			erase();
			if (error !== undefined) writeAbove(renderError(error, options.color), true);
			else if (result !== undefined && !options.quiet) {
				writeAbove(`${describeResult(result, options.now() - began)}\n`, true);
			}
		},
	};
}

function paint(line: string, event: BuildEvent, color: boolean): string {
	if (!color) return line;
	if (event.type === 'warning' || event.type === 'retry') return styleText('yellow', line, { validateStream: false });
	return event.type === 'stage' ? line : styleText('dim', line, { validateStream: false });
}

/** A line that wraps would take two rows, and the next erase would leave one of them. */
function renderBar(state: TransferState, options: ReportOptions): string {
	const part = state.total === undefined || state.total === 0 ? 0 : Math.min(1, state.done / state.total);
	const filled = Math.round(part * BAR_WIDTH);
	const bar = `${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}`;
	const text = `${state.transfer.padEnd(6)} ${bar} ${describeTransfer(state)}`;
	const line = stripVTControlCharacters(text).slice(0, Math.max(1, options.columns() - 1));
	return options.color ? styleText('cyan', line, { validateStream: false }) : line;
}

const PROGRESS_MS = 10_000;

/** A report for logs: one line for each step, for each transfer at most one line in ten seconds, assemble's output as it is. */
export function openPlainReport(options: ReportOptions): Report {
	const began = options.now();
	const transfers = openTransfers(options.now);
	const shown = new Map<Transfer, number>();
	let atLineStart = true;
	const writeText = (text: string) => {
		options.write(atLineStart ? text : `\n${text}`);
		atLineStart = true;
	};
	const emit = (event: BuildEvent) => {
		transfers.note(event);
		const line = describeEvent(event, options.quiet ? 0 : options.loglevel);
		if (line !== undefined) writeText(`${line}\n`);
		if (options.quiet && !(event.type === 'output' && event.from === 'stderr')) return;
		if (event.type === 'output' && event.chunk.length > 0) {
			options.write(event.chunk);
			atLineStart = event.chunk.at(-1) === NEWLINE;
		}
		if (event.type === 'progress' && isDue(shown, event.transfer, options.now())) {
			const state = transfers.read(event.transfer);
			if (state?.active === true) writeText(`${event.transfer}: ${describeTransfer(state)}\n`);
		}
	};
	return {
		emit,
		finish: (result, error) => {
			if (error !== undefined) writeText(renderError(error, options.color));
			else if (result !== undefined && !options.quiet) writeText(`${describeResult(result, options.now() - began)}\n`);
		},
	};
}

/** The first ten seconds of a transfer are silent. */
function isDue(shown: Map<Transfer, number>, transfer: Transfer, now: number): boolean {
	const last = shown.get(transfer);
	if (last !== undefined && now - last < PROGRESS_MS) return false;
	shown.set(transfer, now);
	return last !== undefined;
}

/** `120 MB of 341 MB, 12.0 MB/s`. */
function describeTransfer({ done, total, rate }: TransferState): string {
	const size = total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`;
	return `${size}, ${formatBytes(rate)}/s`;
}

/** How far all blobs of one kind of transfer are together. Bytes, and bytes a second since the transfer began. */
interface TransferState {
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
function openTransfers(now: () => number): Transfers {
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

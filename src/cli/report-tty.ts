import { stripVTControlCharacters, styleText } from 'node:util';
import type { BuildEvent } from '../pipeline/events.js';
import { renderError } from './io.js';
import { describeEvent, describeResult, describeTransfer, type Report, type ReportOptions } from './report.js';
import { openTransfers, type TransferState } from './transfers.js';

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

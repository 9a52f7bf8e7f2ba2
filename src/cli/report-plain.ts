import type { BuildEvent, Transfer } from '../pipeline/events.js';
import { renderError } from './io.js';
import { describeEvent, describeResult, describeTransfer, type Report, type ReportOptions } from './report.js';
import { openTransfers } from './transfers.js';

const PROGRESS_MS = 10_000;
const NEWLINE = 0x0a;

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

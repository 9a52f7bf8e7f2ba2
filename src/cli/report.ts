import type { BuildEvent, Emit, Rung } from '../pipeline/events.js';
import type { BuildResult } from '../pipeline/result.js';
import { redact } from '../redact.js';
import { formatBytes, formatDuration } from './format.js';
import type { TransferState } from './transfers.js';

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

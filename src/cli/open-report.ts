import type { reportOptions } from './host-options.js';
import type { CommandIo } from './io.js';
import { isTerminal, useColor } from './io.js';
import type { Values } from './options.js';
import type { Report } from './report.js';

/** How a command reports. */
export type ReportArguments = Values<typeof reportOptions>;

/** The report that is asked for: `auto` is tty on a terminal outside CI, else plain. */
export async function openReport(
	{ logFormat: format, loglevel = 1, quiet }: ReportArguments,
	io: CommandIo,
): Promise<Report> {
	const options = {
		write: (text: string | Uint8Array) => void io.stderr.write(text),
		loglevel: Math.min(Math.max(loglevel, 0), 5),
		quiet,
		color: useColor(io),
		columns: () => ('columns' in io.stderr && typeof io.stderr.columns === 'number' ? io.stderr.columns : 80),
		now: () => performance.now(),
	};
	if (format === 'json') return (await import('./report-json.js')).openJsonReport(options);
	const isTty = format === 'tty' || (format === 'auto' && isTerminal(io.stderr) && !io.env['CI']);
	return isTty
		? (await import('./report-tty.js')).openTtyReport(options)
		: (await import('./report-plain.js')).openPlainReport(options);
}

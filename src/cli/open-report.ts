import { BuildError } from '../errors.js';
import { LOG_FORMATS } from './choices.js';
import type { HostArguments } from './host-options.js';
import { oneOf } from './host-request.js';
import type { CommandIo } from './io.js';
import { isTerminal, useColor } from './io.js';
import type { Report } from './report.js';

/** The report that `args` ask for: `auto` is tty on a terminal outside CI, else plain. Throws USAGE. */
export async function openReport(args: HostArguments, io: CommandIo): Promise<Report> {
	const format = oneOf('--log-format', LOG_FORMATS, args.logFormat);
	const options = {
		write: (text: string | Uint8Array) => void io.stderr.write(text),
		loglevel: readLoglevel(args.loglevel),
		quiet: args.quiet,
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

function readLoglevel(text = ''): number {
	if (text === '') return 1;
	if (/^-?\d{1,9}$/.test(text)) return Math.min(Math.max(Number(text), 0), 5);
	throw new BuildError('USAGE', `--loglevel does not take ${JSON.stringify(text.slice(0, 50))}`, {
		hint: 'Give a number from 0 (essentials) to 5 (every file).',
	});
}

import { beginReading, type Perform } from './command.js';
import { exitStatusOf } from './exit-code.js';
import { readUsageRequest } from './request.js';
import type { UsageArguments } from './usage-command.js';
import { withReport } from './with-report.js';

/** Runs the usage script of an image; resolves with the script's own exit status, or ours. */
export const runUsage: Perform<UsageArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const request = readUsageRequest(line.value, reading);
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { usage } = await import('../build/usage.js');
		return { status: exitStatusOf(await usage(request, emit, signal), context.program) };
	});
};

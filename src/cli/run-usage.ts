import { beginReading, type Perform } from './command.js';
import { exitStatusOf } from './exit-code.js';
import { openImageNames } from './image-names.js';
import { readUsageRequest } from './request.js';
import type { UsageArguments } from './usage-command.js';
import { withReport } from './with-report.js';

/** Runs the usage script of an image; resolves with the script's own exit status, or ours. */
export const runUsage: Perform<UsageArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const names = openImageNames(reading);
	const image = await names.source(line.value.image, line.value.pullPolicy);
	events.push(...names.notices());
	const request = readUsageRequest({ ...line.value, image }, reading);
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { usage } = await import('../pipeline/show-usage.js');
		return { status: exitStatusOf(await usage(request, emit, signal), context.program) };
	});
};

import { beginReading, type Perform } from './command.js';
import { openImageNames } from './image-names.js';
import { readRunRequest } from './request.js';
import type { RunArguments } from './run-command.js';
import { withReport } from './with-report.js';

/** Runs an image, with what stands behind `--` for its command; resolves with the program's own exit status, or ours. */
export const runImage: Perform<RunArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const names = openImageNames(reading);
	const image = await names.source(line.value.image);
	events.push(...names.notices());
	const request = readRunRequest({ ...line.value, image }, line.rest, reading);
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { run } = await import('../pipeline/run-image.js');
		return { status: await run(request, emit, signal) };
	});
};

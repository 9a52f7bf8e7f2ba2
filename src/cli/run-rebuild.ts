import { checkInputs } from './check-request.js';
import { beginReading, type Perform } from './command.js';
import { conclude } from './outcome.js';
import type { RebuildArguments } from './rebuild-command.js';
import { readRebuildRequest } from './request.js';
import { withReport } from './with-report.js';

/** Builds an image again; as `s2oci build`, it prints `name@digest` on stdout. */
export const runRebuild: Perform<RebuildArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const request = readRebuildRequest(line.value, reading);
	await checkInputs(request);
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { rebuild } = await import('../build/rebuild.js');
		return conclude(await rebuild(request, emit, signal), line.value);
	});
};

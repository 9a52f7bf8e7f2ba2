import { checkFiles } from './check-request.js';
import { beginReading, type Perform } from './command.js';
import { firstSet } from './host-request.js';
import { openImageNames } from './image-names.js';
import { conclude } from './outcome.js';
import type { RebuildArguments } from './rebuild-command.js';
import { readRebuildRequest } from './request.js';
import { withReport } from './with-report.js';

/** Builds an image again; as `s2oci build`, it prints `name@digest` on stdout. */
export const runRebuild: Perform<RebuildArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const names = openImageNames(reading);
	const image = await names.source(line.value.image, line.value.pullPolicy);
	const given = firstSet(line.value.tag) ?? (image.includes('@') ? undefined : image);
	const tag = given === undefined ? undefined : await names.target(given);
	events.push(...names.notices());
	const request = readRebuildRequest({ ...line.value, image, tag }, reading);
	await checkFiles(request, line.value);
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { rebuild } = await import('../pipeline/rebuild-image.js');
		const readName = async (name: string) => {
			const read = await names.source(name, line.value.pullPolicy);
			for (const notice of names.notices()) emit(notice);
			return read;
		};
		return conclude(await rebuild({ ...request, readName }, emit, signal), line.value);
	});
};

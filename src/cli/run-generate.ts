import { beginReading, type Perform } from './command.js';
import type { GenerateArguments } from './generate-command.js';
import { firstSet } from './host-request.js';
import { openImageNames } from './image-names.js';
import { readGenerateRequest } from './request.js';
import { withReport } from './with-report.js';

/** Writes a Dockerfile for a builder image. */
export const runGenerate: Perform<GenerateArguments> = async (line, context) => {
	const { events, reading } = beginReading(line, context);
	const names = openImageNames(reading);
	const builder = await names.source(line.value.builder, line.value.pullPolicy);
	events.push(...names.notices());
	const request = readGenerateRequest({ ...line.value, builder }, reading);
	if (firstSet(line.value.assembleRuntimeUser) !== undefined) {
		const message = '--assemble-runtime-user has no effect: the Dockerfile has no runtime image';
		reading.emit({ type: 'warning', code: 'WITHOUT_EFFECT', message });
	}
	return withReport(line.value, context.io, events, async (emit, signal) => {
		const { writeDockerfile } = await import('../pipeline/dockerfile/write-dockerfile.js');
		await writeDockerfile(request, emit, signal);
		return { status: 0 };
	});
};

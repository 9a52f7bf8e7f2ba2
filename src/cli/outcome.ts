import { BuildError, errnoOf, messageOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { writeOutputFile } from '../output-file.js';
import type { BuildOutcome, BuildResult } from '../pipeline/result.js';
import type { Values } from './options.js';
import type { outputOptions } from './output-options.js';
import type { Ended } from './with-report.js';

/** The files that tell of a build. */
export type OutcomeFiles = Values<typeof outputOptions>['files'];

/** How a build ended, once the files that tell of it are written. */
export async function conclude(outcome: BuildOutcome, files: OutcomeFiles): Promise<Ended> {
	const { result } = outcome;
	const error = await writeFiles(outcome, files);
	return error === undefined ? { status: 0, result, line: imageName(result) } : { status: undefined, result, error };
}

/** Writes the files that tell of `outcome`; resolves with its own error, else with that of writing them. */
export async function writeFiles(
	{ result, error }: BuildOutcome,
	{ resultFile, digestFile }: OutcomeFiles,
): Promise<unknown> {
	try {
		if (resultFile !== undefined) await write(resultFile, `${JSON.stringify(result, undefined, '\t')}\n`);
		if (digestFile !== undefined && result.digest !== undefined) await write(digestFile, result.digest);
		return error;
	} catch (failed) {
		return error ?? failed;
	}
}

const WHY: Readonly<Record<string, string>> = {
	ENXIO: 'nobody reads the pipe',
	EAGAIN: 'who reads the pipe does not go on',
};

async function write(path: string, text: string): Promise<void> {
	await writeOutputFile(path, text).catch((cause: unknown) => {
		const why = WHY[errnoOf(cause) ?? ''] ?? errnoOf(cause) ?? messageOf(cause);
		const refused = new BuildError('OUTPUT_FAILED', `${JSON.stringify(path)} cannot be written: ${why}`, {
			hint: 'The image itself is complete. Check that the directory exists and may be written, or name another file.',
			cause,
		});
		throw noSpace(cause, JSON.stringify(path), 'name a file elsewhere; the image itself is complete') ?? refused;
	});
}

function imageName({ name, digest }: BuildResult): string {
	return name === undefined ? String(digest) : `${name}@${String(digest)}`;
}

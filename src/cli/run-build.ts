import { writeFile } from 'node:fs/promises';
import type { BuildOutcome, BuildResult } from '../build/result.js';
import { BuildError, errnoOf } from '../errors.js';
import type { BuildArguments } from './build-command.js';
import { exitCodeOf } from './exit-code.js';
import { type Interrupt, listenForInterrupt } from './interrupt.js';
import type { CommandIo } from './io.js';
import { openReport } from './open-report.js';
import { readBuildRequest } from './request.js';

/** Builds what `args` ask for; resolves with the exit status. Prints `name@digest` on stdout when the image was built. */
export async function runBuild(args: BuildArguments, io: CommandIo): Promise<number> {
	const request = readBuildRequest(args, io.env);
	const report = await openReport(args, io);
	using interrupt = listenForInterrupt(io.signal);
	const { build } = await import('../build/build.js');
	const outcome = await build(request, report.emit, interrupt.signal);
	const error = await writeOutcome(outcome, args);
	report.finish(outcome.result, error);
	if (error !== undefined) return statusOf(error, interrupt);
	io.stdout.write(`${imageName(outcome.result)}\n`);
	return 0;
}

function statusOf(error: unknown, interrupt: Interrupt): number {
	return interrupt.exitStatus() ?? exitCodeOf(error);
}

/** The build's own error wins over one of writing these files. */
async function writeOutcome({ result, error }: BuildOutcome, args: BuildArguments): Promise<unknown> {
	try {
		if (args.resultFile !== undefined) await write(args.resultFile, `${JSON.stringify(result, undefined, '\t')}\n`);
		if (args.digestFile !== undefined && result.digest !== undefined) await write(args.digestFile, result.digest);
		return error;
	} catch (failed) {
		return error ?? failed;
	}
}

async function write(path: string, text: string): Promise<void> {
	await writeFile(path, text).catch((cause: unknown) => {
		throw new BuildError(
			'OUTPUT_FAILED',
			`${JSON.stringify(path)} cannot be written: ${errnoOf(cause) ?? 'unknown error'}`,
			{
				hint: 'The image itself is complete. Check that the directory exists and may be written.',
				cause,
			},
		);
	});
}

function imageName({ name, digest }: BuildResult): string {
	return name === undefined ? String(digest) : `${name}@${String(digest)}`;
}

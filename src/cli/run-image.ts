import { exitCodeOf } from './exit-code.js';
import { listenForInterrupt } from './interrupt.js';
import type { CommandIo } from './io.js';
import { openReport } from './open-report.js';
import { readRunRequest } from './request.js';
import type { RunArguments } from './run-command.js';

const INTERRUPTED = 130;

/** Runs the image that `args` name, with `rest` for its command; resolves with the program's own exit status, or ours. */
export async function runImage(args: RunArguments, rest: readonly string[], io: CommandIo): Promise<number> {
	const request = readRunRequest(args, rest, io.env);
	const report = await openReport(args, io);
	using interrupt = listenForInterrupt(io.signal);
	const { run } = await import('../build/run.js');
	try {
		const status = await run(request, report.emit, interrupt.signal);
		report.finish(undefined, undefined);
		return status ?? interrupt.exitStatus() ?? INTERRUPTED;
	} catch (error) {
		report.finish(undefined, error);
		return interrupt.exitStatus() ?? exitCodeOf(error);
	}
}

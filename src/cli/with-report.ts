import { hostFault } from '../host-fault.js';
import type { BuildEvent, Emit } from '../pipeline/events.js';
import type { BuildResult } from '../pipeline/result.js';
import { exitCodeOf, S2I_EXIT_CODES } from './exit-code.js';
import { type Interrupt, listenForInterrupt } from './interrupt.js';
import type { CommandIo } from './io.js';
import { openReport, type ReportArguments } from './open-report.js';
import { programName } from './program-name.js';

/** How the work of a command ended. */
export interface Ended {
	/** The exit status when there is no error; undefined when a signal stopped a program. */
	readonly status: number | undefined;
	readonly result?: BuildResult;
	readonly error?: unknown;
	/** For stdout, when there is no error. */
	readonly line?: string;
}

const INTERRUPTED = 130;

/**
 * Runs `work` with a report on stderr, which begins with `notices`, until it ends or a signal comes; resolves with the exit status.
 */
export async function withReport(
	args: ReportArguments,
	io: CommandIo,
	notices: readonly BuildEvent[],
	work: (emit: Emit, signal: AbortSignal) => Promise<Ended>,
): Promise<number> {
	const report = await openReport(args, io);
	using interrupt = listenForInterrupt(endOf(io));
	for (const notice of notices) report.emit(notice);
	const ended = await attempt(() => work(report.emit, interrupt.signal));
	const fault = io.fault?.take();
	const { status, result, error, line } = withFault(ended, fault);
	const program = programName(io);
	if (result !== undefined && program !== 's2oci') report.emit(lastWords(error));
	report.finish(result, error);
	const stopped = fault === undefined ? stoppedWith(interrupt, program) : undefined;
	if (error !== undefined) return stopped ?? exitCodeOf(error, program);
	if (line !== undefined) io.stdout.write(`${line}\n`);
	return status ?? stopped ?? INTERRUPTED;
}

/** Aborted from outside, or by what nobody caught. */
function endOf({ signal, fault }: CommandIo): AbortSignal {
	return AbortSignal.any([signal, fault?.signal].filter((each) => each !== undefined));
}

function withFault(ended: Ended, fault: unknown): Ended {
	return fault === undefined ? ended : { ...ended, error: fault };
}

function stoppedWith(interrupt: Interrupt, program: ReturnType<typeof programName>): number | undefined {
	const status = interrupt.exitStatus();
	return status === undefined || program === 's2oci' ? status : S2I_EXIT_CODES.INTERRUPTED;
}

/** What S2I says of every build, at every loglevel, and scripts look for. */
function lastWords(error: unknown): BuildEvent {
	return { type: 'log', level: 0, message: error === undefined ? 'Build completed successfully' : 'Build failed' };
}

async function attempt(work: () => Promise<Ended>): Promise<Ended> {
	try {
		return await work();
	} catch (error) {
		return { status: undefined, error: hostFault(error) };
	}
}

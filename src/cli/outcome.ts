import { BuildError, errnoOf, messageOf } from '../errors.js';
import { hostFault, noSpace } from '../host-fault.js';
import { writeOutputFile } from '../output-file.js';
import type { BuildEvent, Emit } from '../pipeline/events.js';
import type { BuildOutcome, BuildResult } from '../pipeline/result.js';
import type { CiEngine, CiOutput } from './ci-engine.js';
import { foldedReport, jsonWriter, openCiLog } from './ci-log.js';
import { writeCiOutput } from './ci-output.js';
import { exitCodeOf, S2I_EXIT_CODES } from './exit-code.js';
import type { reportOptions } from './host-options.js';
import { type Interrupt, listenForInterrupt } from './interrupt.js';
import { type CommandIo, isTerminal, useColor } from './io.js';
import type { Values } from './options.js';
import type { Report, ReportOptions } from './report.js';
import type { outputOptions } from './result-options.js';
import { programName } from './words.js';

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
	const { status, result, error, line } = fault === undefined ? ended : { ...ended, error: fault };
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

/** How a command reports; `ci` is the engine whose log it is, when that is to be taken care of. */
export type ReportArguments = Values<typeof reportOptions> & { readonly ci?: CiEngine | undefined };

/** The report that is asked for: `auto` is tty on a terminal outside CI, else plain. */
export async function openReport(args: ReportArguments, io: CommandIo): Promise<Report> {
	const { logFormat: format, quiet, ci } = args;
	const direct = (text: string | Uint8Array) => void io.stderr.write(text);
	if (format === 'json') {
		return (await import('./report.js')).openJsonReport(optionsFor(args, io, jsonWriter(ci, direct)));
	}
	const log = openCiLog(ci, direct);
	const options = optionsFor(args, io, log?.write ?? direct);
	const isTty = format === 'tty' || (format === 'auto' && isTerminal(io.stderr) && !io.env['CI']);
	const { openTtyReport, openPlainReport } = await import('./report-text.js');
	const report = isTty ? openTtyReport(options) : openPlainReport(options);
	return log === undefined ? report : foldedReport(report, log, !quiet);
}

function optionsFor(
	{ loglevel = 1, quiet }: ReportArguments,
	io: CommandIo,
	write: ReportOptions['write'],
): ReportOptions {
	return {
		write,
		loglevel: Math.min(Math.max(loglevel, 0), 5),
		quiet,
		color: useColor(io),
		columns: () => ('columns' in io.stderr && typeof io.stderr.columns === 'number' ? io.stderr.columns : 80),
		now: () => performance.now(),
	};
}

/** The files that tell of a build. */
export type OutcomeFiles = Values<typeof outputOptions>['files'] & { readonly ci?: CiOutput | undefined };

/** How a build ended, once the files that tell of it are written. */
export async function conclude(outcome: BuildOutcome, files: OutcomeFiles): Promise<Ended> {
	const { result } = outcome;
	const { name, digest } = result;
	const line = name === undefined ? String(digest) : `${name}@${String(digest)}`;
	const error = await writeFiles(outcome, files);
	return error === undefined ? { status: 0, result, line } : { status: undefined, result, error };
}

/** Writes the files that tell of `outcome`; resolves with its own error, else with that of writing them. */
export async function writeFiles(
	{ result, error }: BuildOutcome,
	{ resultFile, digestFile, ci }: OutcomeFiles,
): Promise<unknown> {
	try {
		if (resultFile !== undefined) await write(resultFile, `${JSON.stringify(result, undefined, '\t')}\n`);
		if (digestFile !== undefined && result.digest !== undefined) await write(digestFile, result.digest);
		if (ci !== undefined) await writeCiOutput(ci, result);
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

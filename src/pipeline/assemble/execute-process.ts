import { constants } from 'node:os';
import { BuildError } from '../../errors.js';
import type { WorkerProcess } from '../../host/start-worker.js';
import type { RootName, WorkerCalls } from '../../protocol/worker-calls.js';
import { isInPlace } from '../../sandbox/ladder.js';
import type { Limits } from '../../sandbox/limits.js';
import { withoutName } from '../../sandbox/no-sandbox.js';
import { type ContainerProcess, type Exit, exitStatus } from '../../sandbox/sandbox.js';
import type { BuildRecord } from '../record.js';
import { placeOf } from '../rung.js';
import { privilegeHint } from './privilege-hint.js';
import { collectOutput, type Output } from './process-output.js';

/** What every process of a build needs: who runs it, who hears of it, and in which sandbox. */
export interface ExecuteContext {
	readonly worker: WorkerProcess;
	readonly record: BuildRecord;
}

/** One process of a build. */
export interface ProcessRun {
	readonly root: RootName;
	readonly process: ContainerProcess;
	/** What messages call it, such as `assemble (/usr/libexec/s2i/assemble)`. */
	readonly what: string;
	/** Undefined: it may take for ever. */
	readonly timeoutMs: number | undefined;
	readonly limits: Limits;
	/** Told the exit status as a shell gives it, whatever it is. */
	readonly onExit?: (status: number) => void;
}

type Ended = WorkerCalls['execute']['response'];

/**
 * Runs a process in the prepared root filesystem `run.root` and passes on what it prints. Throws ASSEMBLE_FAILED, with its last
 * lines, when it does not end with status 0, and HOST_NO_SANDBOX.
 */
export async function executeProcess(run: ProcessRun, context: ExecuteContext): Promise<void> {
	const { worker, record } = context;
	const output = collectOutput(worker, record.emit);
	const ended = await worker.call('execute', {
		root: run.root,
		process: run.process,
		sandboxes: worker.sandboxes,
		streams: 'forward',
		timeoutMs: run.timeoutMs,
		limits: run.limits,
	});
	await output.drained(ended.forwarded);
	reportOther(worker, ended, record);
	const status = exitStatus(ended.exit, constants.signals);
	for (const message of ended.unenforced) record.emit({ type: 'warning', code: 'LIMITS', message });
	run.onExit?.(status);
	if (ended.timedOut || status !== 0) throw processFailed(run, ended, output, worker);
}

/** The sandbox that ran a program at the start may refuse a real one, with its limits and mounts. */
function reportOther(worker: WorkerProcess, { sandbox, refused }: Ended, record: BuildRecord): void {
	if (refused.length === 0) return;
	const reason = refused.map((each) => `${each.sandbox} was refused (${withoutName(each)})`).join('; ');
	record.rung({ ...placeOf(worker), sandbox, reason });
}

function processFailed(
	{ what, timeoutMs, process }: ProcessRun,
	ended: Ended,
	output: Output,
	worker: WorkerProcess,
): BuildError {
	const lines = output.lastLines();
	const said = lines === '' ? 'It printed nothing.' : `Its last lines:\n${lines}`;
	if (ended.timedOut) {
		return new BuildError('ASSEMBLE_FAILED', `${what} took longer than ${String(timeoutMs)} ms. ${said}`, {
			hint: 'It was stopped. Give it more time with --timeout, or find out what it waits for.',
		});
	}
	if (ended.oom) {
		return new BuildError('ASSEMBLE_FAILED', `${what} ended ${howItEnded(ended.exit)}: --memory ran out. ${said}`, {
			hint: 'Give it more with --memory.',
		});
	}
	return new BuildError('ASSEMBLE_FAILED', `${what} ended ${howItEnded(ended.exit)}. ${said}`, {
		hint: isOutOfMemory(ended)
			? 'SIGKILL usually means that memory ran out: give the job more.'
			: (diskHint(lines, worker) ??
				privilegeHint({ lines, singleId: hasOneId(worker), uid: process.user.uid }) ??
				'The reason is in what it printed. -e BUILD_LOGLEVEL=5 makes many builder images say more.'),
	});
}

/** In place, a process is who the job is. */
function hasOneId(worker: WorkerProcess): boolean {
	return worker.userNamespace === 'single' || (isInPlace(worker.rootfs) && globalThis.process.getuid?.() !== 0);
}

const FULL_CONTAINER =
	'A disk is full: in place, assemble writes to the root filesystem of the container of this job. Give the job more of it (Kubernetes: ephemeral-storage), or free some space on its node.';
const READ_ONLY =
	'In place, assemble writes to the container of this job, of which a part is read-only: run the job without readOnlyRootFilesystem: true (Kubernetes, OpenShift) or --read-only (Docker, Podman), and mount nothing read-only where assemble writes.';

/** What the words say of the disk: most programs print those of strerror(3), Node.js the name. */
function diskHint(lines: string, worker: Pick<WorkerProcess, 'rootfs'>): string | undefined {
	if (isInPlace(worker.rootfs) && /read-only file system|\bEROFS\b/i.test(lines)) return READ_ONLY;
	if (!/no space left on device|disk quota exceeded|\b(?:ENOSPC|EDQUOT)\b/i.test(lines)) return undefined;
	if (isInPlace(worker.rootfs)) return FULL_CONTAINER;
	return 'A disk is full, which for most paths is that of the store: free some space there, or name a larger disk with --store DIR or S2OCI_STORE.';
}

function howItEnded(exit: Exit): string {
	return exit.type === 'code' ? `with status ${String(exit.code)}` : `by signal ${exit.signal}`;
}

function isOutOfMemory({ exit, oom }: Ended): boolean {
	return oom || (exit.type === 'signal' && exit.signal === 'SIGKILL');
}

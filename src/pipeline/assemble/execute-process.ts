import { constants } from 'node:os';
import { BuildError } from '../../errors.js';
import { isInPlace, type Place } from '../../sandbox/ladder.js';
import type { Limits } from '../../sandbox/limits.js';
import { type ContainerProcess, type Exit, exitStatus } from '../../sandbox/sandbox.js';
import type { Root, RunEnded } from '../root.js';
import { privilegeHint } from './privilege-hint.js';

/** One process of a build. */
export interface ProcessRun {
	readonly process: ContainerProcess;
	/** What messages call it, such as `assemble (/usr/libexec/s2i/assemble)`. */
	readonly what: string;
	/** Undefined: it may take for ever. */
	readonly timeoutMs: number | undefined;
	readonly limits: Limits;
	/** Told the exit status as a shell gives it, whatever it is. */
	readonly onExit?: (status: number) => void;
}

/**
 * Runs a process in the prepared `root` and passes on what it prints. Throws ASSEMBLE_FAILED, with its last lines, when it does not end
 * with status 0, and HOST_NO_SANDBOX.
 */
export async function executeProcess(root: Root, run: ProcessRun): Promise<void> {
	const { process, limits, timeoutMs } = run;
	const ended = await root.run({ process, limits, timeoutMs });
	const status = exitStatus(ended.exit, constants.signals);
	run.onExit?.(status);
	if (ended.timedOut || status !== 0) throw processFailed(run, ended, root.place);
}

function processFailed({ what, timeoutMs, process }: ProcessRun, ended: RunEnded, place: Place): BuildError {
	const lines = ended.lastLines;
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
			: (diskHint(lines, place) ??
				privilegeHint({ lines, singleId: hasOneId(place), uid: process.user.uid }) ??
				'The reason is in what it printed. -e BUILD_LOGLEVEL=5 makes many builder images say more.'),
	});
}

/** In place, a process is who the job is. */
function hasOneId({ userNamespace, rootfs }: Place): boolean {
	return userNamespace === 'single' || (isInPlace(rootfs) && globalThis.process.getuid?.() !== 0);
}

const FULL_CONTAINER =
	'A disk is full: in place, assemble writes to the root filesystem of the container of this job. Give the job more of it (Kubernetes: ephemeral-storage), or free some space on its node.';
const READ_ONLY =
	'In place, assemble writes to the container of this job, of which a part is read-only: run the job without readOnlyRootFilesystem: true (Kubernetes, OpenShift) or --read-only (Docker, Podman), and mount nothing read-only where assemble writes.';

/** What the words say of the disk: most programs print those of strerror(3), Node.js the name. */
function diskHint(lines: string, { rootfs }: Place): string | undefined {
	if (isInPlace(rootfs) && /read-only file system|\bEROFS\b/i.test(lines)) return READ_ONLY;
	if (!/no space left on device|disk quota exceeded|\b(?:ENOSPC|EDQUOT)\b/i.test(lines)) return undefined;
	if (isInPlace(rootfs)) return FULL_CONTAINER;
	return 'A disk is full, which for most paths is that of the store: free some space there, or name a larger disk with --store DIR or S2OCI_STORE.';
}

function howItEnded(exit: Exit): string {
	return exit.type === 'code' ? `with status ${String(exit.code)}` : `by signal ${exit.signal}`;
}

function isOutOfMemory({ exit, oom }: RunEnded): boolean {
	return oom || (exit.type === 'signal' && exit.signal === 'SIGKILL');
}

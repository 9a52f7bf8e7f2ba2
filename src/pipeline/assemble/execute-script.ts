import { BuildError, type ErrorCode } from '../../errors.js';
import { type AssembleEnvironmentInput, assembleEnvironment } from '../../s2i/assemble-environment.js';
import type { User } from '../../s2i/users.js';
import { isInPlace, type Place } from '../../sandbox/ladder.js';
import type { ContainerProcess, Exit } from '../../sandbox/sandbox.js';
import type { BuildContext } from '../context.js';
import { caBundleIn } from '../fit-in-place.js';
import type { Root, RunEnded } from '../root.js';

/** A script of a build, or a command of its ONBUILD: who runs it where, and what it is told. */
export interface ScriptRun
	extends Pick<ContainerProcess, 'argv' | 'cwd'>,
		Pick<AssembleEnvironmentInput, 'image' | 'environment' | 'incremental' | 'epoch'> {
	readonly user: User;
	/** What messages call it, such as `assemble (/usr/libexec/s2i/assemble)`. */
	readonly what: string;
	/** Told the exit status as a shell gives it, whatever it is. */
	readonly onExit?: (status: number) => void;
}

/**
 * Runs a script in the prepared `root`, with the environment of {@link assembleEnvironment}, and passes on what it prints. Throws
 * ASSEMBLE_FAILED, with its last lines, when it does not end with status 0, HOST_NO_SANDBOX, and USAGE.
 */
export async function executeScript({ request, worker }: BuildContext, root: Root, run: ScriptRun): Promise<void> {
	const { argv, cwd, user, what, onExit, ...told } = run;
	const { host, assemble } = request;
	const env = assembleEnvironment({
		...told,
		buildEnvironment: assemble.buildEnvironment,
		home: user.home,
		caBundle: caBundleIn(host, worker),
		host: host.env,
	});
	const { limits, assembleTimeout: timeoutMs } = assemble;
	const ended = await root.run({ process: { argv, env, cwd, user }, limits, timeoutMs });
	onExit?.(ended.status);
	if (ended.timedOut || ended.status !== 0) throw processFailed({ what, timeoutMs, uid: user.uid }, ended, root.place);
}

/** A process that did not do what it was to do. */
interface Failed {
	readonly what: string;
	readonly timeoutMs: number | undefined;
	readonly uid: number;
	/** ASSEMBLE_FAILED when undefined. */
	readonly code?: ErrorCode;
	/** What to do where nothing better is known. */
	readonly advice?: string;
}

const ADVICE = 'The reason is in what it printed. -e BUILD_LOGLEVEL=5 makes many builder images say more.';

/** The error for a process that failed: how it ended, with its last lines, and as its hint what its words and its end give away. */
export function processFailed(
	{ what, timeoutMs, uid, code = 'ASSEMBLE_FAILED', advice = ADVICE }: Failed,
	ended: RunEnded,
	place: Place,
): BuildError {
	const lines = ended.lastLines;
	const said = lines === '' ? 'It printed nothing.' : `Its last lines:\n${lines}`;
	if (ended.timedOut) {
		return new BuildError(code, `${what} took longer than ${String(timeoutMs)} ms. ${said}`, {
			hint: 'It was stopped. Give it more time with --timeout, or find out what it waits for.',
		});
	}
	if (ended.oom) {
		return new BuildError(code, `${what} ended ${howItEnded(ended.exit)}: --memory ran out. ${said}`, {
			hint: 'Give it more with --memory.',
		});
	}
	const isKilled = ended.exit.type === 'signal' && ended.exit.signal === 'SIGKILL';
	return new BuildError(code, `${what} ended ${howItEnded(ended.exit)}. ${said}`, {
		hint: isKilled
			? 'SIGKILL usually means that memory ran out: give the job more.'
			: (diskHint(lines, place) ?? privilegeHint({ lines, singleId: hasOneId(place), uid }) ?? advice),
	});
}

/** In place, a process is who the job is. */
function hasOneId({ userNamespace, rootfs }: Place): boolean {
	return userNamespace === 'single' || (isInPlace(rootfs) && process.getuid?.() !== 0);
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

/** What a process that failed was allowed to be. */
interface FailedProcess {
	/** Its last lines. */
	readonly lines: string;
	/** Whether all ids of the image are one id of the host. */
	readonly singleId: boolean;
	readonly uid: number;
}

const REFUSALS =
	/operation not permitted|permission denied|invalid argument|value too large|\bE(?:PERM|INVAL|ACCES|OVERFLOW)\b/i;
/** How programs call what only root of several ids can do. */
const CALLS: readonly (readonly [RegExp, string])[] = [
	[/\b(?:[lf]?chown(?:at)?|chgrp)\b|chang(?:e|ing) (?:the )?(?:owner|group)|set(?:ting)? (?:the )?ownership/i, 'chown'],
	[/\bsetgroups\b|\binitgroups\b/i, 'setgroups'],
	[/\bset(?:e|re|res)?[ug]id\b|cannot set (?:user|group) id/i, 'setuid'],
	[/\bmknod\b/i, 'mknod'],
];
const WAY_OUT =
	'Give the user who runs s2oci a range of ids (sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, and the ' +
	'package uidmap), or run the job as root.';

/** What to do when a process failed because it had but one id; undefined when there is no sign of that. */
export function privilegeHint({ lines, singleId, uid }: FailedProcess): string | undefined {
	if (!singleId) return undefined;
	const refused = lines.split('\n').filter((line) => REFUSALS.test(line));
	const found = CALLS.find(([words]) => refused.some((line) => words.test(line)));
	if (found !== undefined) {
		return `This host gives the build one user id only, with which ${found[1]} to another id fails. ${WAY_OUT}`;
	}
	if (uid !== 0) return undefined;
	return `It runs as root, but this host gives the build one user id only. If it needs others: ${WAY_OUT}`;
}

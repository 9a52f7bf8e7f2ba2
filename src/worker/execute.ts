import { BuildError, isBuildError } from '../errors.js';
import { mayBecomeAnyone } from '../linux/capabilities.js';
import type { WorkerCalls } from '../protocol/worker-calls.js';
import { rawPath } from '../root-path.js';
import type { Owner } from '../rootfs/owner.js';
import { resolveInRoot } from '../rootfs/resolve-in-root.js';
import { isKernels } from '../sandbox/kernel-paths.js';
import { NO_LIMITS } from '../sandbox/limits.js';
import { noSandbox, type Refused } from '../sandbox/no-sandbox.js';
import { type PossibleRun, runSandbox } from '../sandbox/run.js';
import type { Exit, SandboxRun, SandboxSpec } from '../sandbox/sandbox.js';
import { SANDBOXES, type SandboxName } from '../sandbox/sandboxes.js';
import { possibleUlimits } from '../sandbox/ulimits.js';
import { NO_CGROUPS } from './cgroup.js';
import { canEmulate, checkProgram } from './check-program.js';
import type { WorkerSession } from './open-session.js';
import { type ConsumeStdout, INHERITED, openForward } from './output.js';

type Execute = WorkerCalls['execute'];

/** Without `cgroups`, all limits that need them are refused. */
export interface ExecuteContext
	extends Pick<WorkerSession, 'libc' | 'scratch' | 'hostPath' | 'needLess'>,
		Partial<Pick<WorkerSession, 'cgroups'>> {
	readonly spec: Omit<SandboxSpec, 'process' | 'limits'>;
}

const MAX_USER_FILE = 1 << 20;
const TIMER_MAX_MS = 2 ** 31 - 1;
const KILLED: Exit = { type: 'signal', signal: 'SIGKILL' };

/**
 * Runs the process in the first of `sandboxes` that can start it. Its stdout goes to `consumeStdout`, if given, which must read it to its
 * end; when that rejects the process is killed and the rejection passed on. Throws HOST_NO_SANDBOX when no sandbox can start it,
 * SCRIPT_INVALID when none could (see {@link checkProgram}), and what {@link checkUserFiles} throws.
 */
export async function execute(
	request: Execute['request'],
	context: ExecuteContext,
	signal: AbortSignal,
	consumeStdout?: ConsumeStdout,
): Promise<Execute['response']> {
	if (request.sandboxes.some((name) => SANDBOXES[name].readsUserFiles)) checkUserFiles(context.spec.rootfs);
	const unrunnable = checkProgram(request.process, context.spec);
	if (unrunnable === undefined) return runProcess(request, context, signal, consumeStdout);
	if (unrunnable.certain) throw unrunnable.error;
	const ended = await runProcess(request, context, signal, consumeStdout).catch((error: unknown) => {
		throw isBuildError(error, 'HOST_NO_SANDBOX') ? unrunnable.error : error;
	});
	if (ended.exit.type === 'code' && ended.exit.code !== 0 && !canEmulate()) throw unrunnable.error;
	return ended;
}

/**
 * Refuses a root filesystem whose /etc/passwd or /etc/group is more than a file of 1 MiB: runc reads both whole, whatever they are, so that a
 * FIFO stops it for ever and a device has it take all memory (CVE-2026-47262). Throws IMAGE_UNSUPPORTED.
 */
function checkUserFiles(rootfs: string): void {
	for (const file of ['/etc/passwd', '/etc/group']) {
		const { path, stats } = resolveInRoot(rawPath(rootfs), rawPath(file));
		// What is in the kernel's directories is there only once they are mounted.
		const isFile = stats === undefined ? !isKernels(path) : stats.isFile() && stats.size <= MAX_USER_FILE;
		if (isFile) continue;
		throw new BuildError('IMAGE_UNSUPPORTED', `${file} of the image is not a regular file of at most 1 MiB`, {
			hint: 'No honest image has that. Do not use it before you know who made it.',
		});
	}
}

async function runProcess(
	request: Execute['request'],
	context: ExecuteContext,
	signal: AbortSignal,
	consumeStdout: ConsumeStdout | undefined,
): Promise<Execute['response']> {
	const limits = request.limits ?? NO_LIMITS;
	const late = timeoutOf(request.timeoutMs);
	const broken = new AbortController();
	const consume = consumeStdout && watch(consumeStdout, (error) => broken.abort(error));
	const spec: SandboxSpec = { ...context.spec, process: request.process, limits };
	const output =
		request.streams === 'forward' ? openForward(context.libc, ownerOf(spec, request.sandboxes), consume) : INHERITED;
	const groups = (context.cgroups ?? NO_CGROUPS).open(limits);
	try {
		const run = { ...context, spec, streams: output.streams, inGroup: groups.enter, killGroup: groups.kill };
		const stops = AbortSignal.any([signal, late, broken.signal]);
		const ended = await runFirst(request.sandboxes, run, stops).finally(output.started);
		const forwarded = await output.drained();
		const isKilled = ended.exit?.type !== 'code';
		const timedOut = late.aborted && isKilled;
		// What was killed for being stopped may still say how it ended.
		if (isKilled && !timedOut) signal.throwIfAborted();
		const exit = ended.exit ?? KILLED;
		const oom = (exit.type === 'signal' || exit.code !== 0) && groups.oomKilled();
		const unenforced = [...groups.refused(), ...ended.unenforced];
		return { exit, sandbox: ended.sandbox, refused: ended.refused, forwarded, unenforced, oom, timedOut };
	} finally {
		await groups.close();
	}
}

interface Ended {
	/** Undefined when the process was stopped before it could say how it ended. */
	readonly exit: Exit | undefined;
	readonly sandbox: SandboxName;
	readonly refused: readonly Refused[];
	readonly unenforced: readonly string[];
}

async function runFirst(sandboxes: readonly SandboxName[], run: PossibleRun, stop: AbortSignal): Promise<Ended> {
	const refused: Refused[] = [];
	for (const sandbox of sandboxes) {
		const { ulimits, unenforced } = possibleLimits(sandbox, run);
		const spec = { ...run.spec, limits: { ...run.spec.limits, ulimits } };
		const outcome = await runSandbox(sandbox, { ...run, spec }, stop);
		if (outcome.type === 'exited') {
			const { exit, unfiltered } = outcome;
			const more = unfiltered === undefined ? [] : [`--security-opt seccomp: no filter could be set (${unfiltered})`];
			return { exit, sandbox, refused, unenforced: [...unenforced, ...more] };
		}
		if (stop.aborted) return { exit: undefined, sandbox, refused, unenforced };
		refused.push({ sandbox, reason: outcome.reason });
	}
	throw noSandbox(refused);
}

function possibleLimits(
	sandbox: SandboxName,
	{ spec, hostPath }: Pick<SandboxRun, 'spec' | 'hostPath'>,
): ReturnType<typeof possibleUlimits> {
	const { ulimits, unenforced } = possibleUlimits(sandbox, spec, hostPath);
	if (SANDBOXES[sandbox].hasNamespaces(spec) || spec.limits.network === 'host') return { ulimits, unenforced };
	return { ulimits, unenforced: ['--network none: this host gives us no network namespace', ...unenforced] };
}

function timeoutOf(milliseconds: number | undefined): AbortSignal {
	if (milliseconds === undefined) return new AbortController().signal;
	return AbortSignal.timeout(Math.min(milliseconds, TIMER_MAX_MS));
}

function watch(consume: ConsumeStdout, onFailure: (error: unknown) => void): ConsumeStdout {
	return async (stdout) => {
		try {
			await consume(stdout);
		} catch (error) {
			onFailure(error);
			throw error;
		}
	};
}

/** With a single id everything is its own; without a sandbox, ours. */
function ownerOf({ userNamespace, process: { user } }: SandboxSpec, sandboxes: readonly SandboxName[]): Owner {
	if (sandboxes.includes('none') && !mayBecomeAnyone())
		return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
	return userNamespace === 'single' ? { uid: 0, gid: 0 } : user;
}

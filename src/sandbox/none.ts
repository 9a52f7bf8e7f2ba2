import { mayBecomeAnyone } from '../linux/capabilities.js';
import { loadLibc } from '../linux/libc.js';
import { runChroot } from './chroot.js';
import { launch } from './launch.js';
import type { SandboxOutcome, SandboxRun } from './sandbox.js';
import { HERE, seccompProgram } from './seccomp.js';
import { endWithDescendants, STDERR_FD, startEntry } from './start-entry.js';

/**
 * Runs the process in no sandbox at all, but for a filter of system calls where one can be set: the container of the job is the sandbox, and
 * its own filter holds as well. Root runs it as its own user, with no more rights than elsewhere; any other user as itself. It sees its own
 * environment only. What it leaves running is killed, where orphans come back to us; throws ASSEMBLE_SURVIVED when that fails.
 */
export async function runUnconfined(run: SandboxRun, signal: AbortSignal): Promise<SandboxOutcome> {
	if (mayBecomeAnyone() && (await loadLibc()) !== undefined) return runChroot(run, signal);
	const filter = seccompProgram(run.spec, HERE);
	if (filter === undefined) return runDirectly(run, signal);
	const { child, conclude } = startEntry(entryOf(run, filter), [], run);
	const end = conclude(await endWithDescendants(child, run, signal));
	if (end.type === 'ended') return { type: 'exited', exit: end.exit };
	if (signal.aborted) return end;
	const outcome = await runDirectly(run, signal);
	return outcome.type === 'refused' ? outcome : { ...outcome, unfiltered: end.reason };
}

async function runDirectly(run: SandboxRun, signal: AbortSignal): Promise<SandboxOutcome> {
	const { spec, inGroup } = run;
	const { stdin, stdout, stderr } = run.streams;
	const [program, ...args] = spec.process.argv;
	const { env, cwd } = spec.process;
	const child = inGroup(() => launch(program, args, { stdio: [stdin, stdout, stderr], env, cwd }));
	const exit = await endWithDescendants(child, run, signal);
	return typeof exit === 'string' ? { type: 'refused', reason: exit } : { type: 'exited', exit };
}

function entryOf({ spec: { process } }: SandboxRun, filter: Buffer): Parameters<typeof startEntry>[0] {
	const { argv, env, cwd } = process;
	return {
		confinement: undefined,
		...{ cwd, argv, limits: [], mounts: [], hostname: undefined, loopback: false, stderr: STDERR_FD },
		filter: filter.toString('base64'),
		env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
	};
}

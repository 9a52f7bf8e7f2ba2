import { mayBecomeAnyone } from '../linux/capabilities.js';
import { loadLibc } from '../linux/libc.js';
import { runChroot } from './chroot.js';
import { endDescendants, killDescendants } from './descendants.js';
import { launch } from './launch.js';
import type { SandboxOutcome, SandboxRun } from './sandbox.js';

/**
 * Runs the process in no sandbox at all: the container of the job is the sandbox. Root runs it as its own user, with no more rights than
 * elsewhere; any other user as itself. It sees its own environment only. What it leaves running is killed, where orphans come back to us; throws
 * ASSEMBLE_SURVIVED when that fails.
 */
export async function runUnconfined(run: SandboxRun, signal: AbortSignal): Promise<SandboxOutcome> {
	if (mayBecomeAnyone() && (await loadLibc()) !== undefined) return runChroot(run, signal);
	const { spec, streams, inGroup } = run;
	const { stdin, stdout, stderr } = streams;
	const [program, ...args] = spec.process.argv;
	const { env, cwd } = spec.process;
	const child = inGroup(() => launch(program, args, { stdio: [stdin, stdout, stderr], env, cwd }));
	const kill = () => {
		child.kill();
		void killDescendants();
	};
	signal.addEventListener('abort', kill, { once: true });
	if (signal.aborted) kill();
	const exit = await child.ended;
	signal.removeEventListener('abort', kill);
	await endDescendants();
	return typeof exit === 'string' ? { type: 'refused', reason: exit } : { type: 'exited', exit };
}

import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Entry } from '../linux/enter.js';
import { rawPath } from '../root-path.js';
import { endDescendants, killDescendants } from './descendants.js';
import { launch } from './launch.js';
import { capabilitiesOf, type Exit, type SandboxOutcome, type SandboxRun, type SandboxSpec } from './sandbox.js';
import { seccompProgram } from './seccomp.js';
import { resourceOf } from './ulimits.js';

const PROGRAM = fileURLToPath(new URL('./enter-root.js', import.meta.url));
const ENTRY_FD = 3;
const STATUS_FD = 4;
/** Numbers of capabilities(7). */
const CAPABILITIES: readonly (readonly [string, number])[] = [
	['CAP_CHOWN', 0],
	['CAP_DAC_OVERRIDE', 1],
	['CAP_FOWNER', 3],
	['CAP_FSETID', 4],
	['CAP_KILL', 5],
	['CAP_SETGID', 6],
	['CAP_SETUID', 7],
	['CAP_SETPCAP', 8],
	['CAP_NET_BIND_SERVICE', 10],
	['CAP_NET_RAW', 13],
	['CAP_SETFCAP', 31],
];

/**
 * Runs the process below a changed root directory, with no namespace of its own: for root in a plain container, where nothing can be
 * mounted. A root process does not get CAP_SYS_CHROOT, with which it could leave. What it leaves running is killed;
 * throws ASSEMBLE_SURVIVED when that fails.
 */
export async function runChroot({ spec, streams, inGroup }: SandboxRun, signal: AbortSignal): Promise<SandboxOutcome> {
	const { stdin, stdout, stderr } = streams;
	const child = inGroup(() =>
		launch(process.execPath, ['--no-warnings', PROGRAM], {
			stdio: [stdin, stdout, stderr, 'pipe', 'pipe'],
			env: {},
		}),
	);
	const entry = child.stdio[ENTRY_FD] as Writable;
	entry.on('error', () => undefined);
	entry.end(JSON.stringify(entryOf(spec)));
	const status: string[] = [];
	child.stdio[STATUS_FD]?.on('data', (chunk: Buffer) => status.push(chunk.toString()));
	const kill = () => {
		child.kill();
		void killDescendants();
	};
	signal.addEventListener('abort', kill, { once: true });
	if (signal.aborted) kill();
	const exit: Exit | string = await child.ended;
	signal.removeEventListener('abort', kill);
	await endDescendants();
	if (typeof exit === 'string') return { type: 'refused', reason: exit };
	if (status.length > 0) return { type: 'refused', reason: status.join('') };
	return { type: 'exited', exit };
}

function entryOf({ rootfs, limits, process: { argv, env, cwd, user } }: SandboxSpec): Entry {
	const kept = capabilitiesOf(limits);
	return {
		root: rawPath(rootfs),
		cwd,
		uid: user.uid,
		gid: user.gid,
		groups: user.additionalGids,
		capabilities: CAPABILITIES.filter(([name]) => kept.includes(name)).map(([, number]) => number),
		limits: limits.ulimits.flatMap(({ name, soft, hard }) => {
			const resource = resourceOf(name);
			return resource === undefined ? [] : [{ resource, soft, hard }];
		}),
		filter: seccompProgram(process.arch)?.toString('base64'),
		argv,
		env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
	};
}

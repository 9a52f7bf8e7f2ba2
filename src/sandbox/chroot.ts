import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Entry } from '../linux/enter.js';
import { findProgram } from '../program.js';
import { rawPath } from '../root-path.js';
import { chrootMounts } from './chroot-mounts.js';
import { endDescendants, killDescendants } from './descendants.js';
import { typeOf } from './kernel-paths.js';
import { type Launched, launch } from './launch.js';
import {
	capabilitiesOf,
	type Exit,
	HOSTNAME,
	type SandboxOutcome,
	type SandboxRun,
	type SandboxSpec,
	shellExit,
} from './sandbox.js';
import { HERE, seccompProgram } from './seccomp.js';
import { resourceOf } from './ulimits.js';

const PROGRAM = fileURLToPath(new URL('./enter-root.js', import.meta.url));
const ENTRY_FD = 3;
const STATUS_FD = 4;
const COMPLAINTS_FD = 2;
const STDERR_FD = 5;
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
 * Runs the process below a changed root directory. Where nothing can be mounted, for root in a plain container, it has no namespace of its
 * own, and what it leaves running is killed; throws ASSEMBLE_SURVIVED when that fails. Elsewhere it gets the namespaces and mounts that an
 * OCI runtime gives, without what some container engines forbid those: changing the root mount, and keyrings. A root process does not
 * get CAP_SYS_CHROOT, with which it could leave; nor can it make a user namespace to get it (user_namespaces(7)).
 */
export async function runChroot(run: SandboxRun, signal: AbortSignal): Promise<SandboxOutcome> {
	const { spec, streams, inGroup, hostPath } = run;
	const unshare = spec.mounts ? findProgram('unshare', hostPath) : undefined;
	if (spec.mounts && unshare === undefined)
		return { type: 'refused', reason: 'unshare (package util-linux) is not installed' };
	const node = [process.execPath, '--no-warnings', PROGRAM] as const;
	const [program, ...args] = unshare === undefined ? node : [unshare, ...unshareOptions(run), '--', ...node];
	const { stdin, stdout, stderr } = streams;
	const child = inGroup(() =>
		launch(program, args, { stdio: [stdin, stdout, 'pipe', 'pipe', 'pipe', stderr], env: {} }),
	);
	const entry = child.stdio[ENTRY_FD] as Writable;
	entry.on('error', () => undefined);
	entry.end(JSON.stringify({ ...entryOf(spec), mounts: spec.mounts ? chrootMounts(spec, typeOf) : [] }));
	const status: string[] = [];
	child.stdio[STATUS_FD]?.on('data', (chunk: Buffer) => status.push(chunk.toString()));
	const complaints: string[] = [];
	child.stdio[COMPLAINTS_FD]?.on('data', (chunk: Buffer) => complaints.push(chunk.toString()));
	const exit = await endOf(child, spec.mounts, signal);
	return outcomeOf(exit, status.join(''), complaints.join(''));
}

/** `status` is what the program that becomes the process wrote: a line end, and then nothing more, when it became that. */
function outcomeOf(exit: Exit | string, status: string, complaints: string): SandboxOutcome {
	if (typeof exit === 'string') return { type: 'refused', reason: exit };
	const complaint = complaints.trim().split('\n').at(-1) ?? '';
	if (status === '\n') return { type: 'exited', exit: exitOf(exit, complaint) };
	return { type: 'refused', reason: status.trim() || complaint || 'it could not be started' };
}

/** unshare(1) that is to die of SIGKILL as its child did, fails to. */
function exitOf(exit: Exit, complaint: string): Exit {
	if (complaint.includes('unblock')) return { type: 'signal', signal: 'SIGKILL' };
	return exit.type === 'code' ? shellExit(exit.code) : exit;
}

/** The kernel ends what is left of a pid namespace; without one, that has to be searched for. */
async function endOf(child: Launched, hasNamespaces: boolean, signal: AbortSignal): Promise<Exit | string> {
	const kill = () => {
		child.kill();
		if (!hasNamespaces) void killDescendants();
	};
	signal.addEventListener('abort', kill, { once: true });
	if (signal.aborted) kill();
	const exit: Exit | string = await child.ended;
	signal.removeEventListener('abort', kill);
	if (!hasNamespaces) await endDescendants();
	return exit;
}

/** With a single id, the process becomes its own user in a user namespace of its own, and keeps the right to mount until it has done so. */
function unshareOptions({ spec, less }: SandboxRun): readonly string[] {
	const {
		userNamespace,
		limits,
		process: { user },
	} = spec;
	const ids = [`--map-user=${user.uid}`, `--map-group=${user.gid}`];
	return [
		...(userNamespace === 'single' ? ['--user', ...ids, '--keep-caps'] : []),
		...['--mount', '--pid', '--fork', '--kill-child'],
		...(less ? [] : ['--ipc', '--uts']),
		...(limits.network === 'none' ? ['--net'] : []),
	];
}

function entryOf(spec: SandboxSpec): Entry {
	const { rootfs, limits, mounts, userNamespace, process } = spec;
	const { argv, env, cwd, user } = process;
	const kept = user.uid === 0 ? capabilitiesOf(limits) : [];
	return {
		root: rawPath(rootfs),
		cwd,
		uid: user.uid,
		gid: user.gid,
		groups: userNamespace === 'single' && mounts ? undefined : user.additionalGids,
		capabilities: CAPABILITIES.filter(([name]) => kept.includes(name)).map(([, number]) => number),
		limits: limits.ulimits.flatMap(({ name, soft, hard }) => {
			const resource = resourceOf(name);
			return resource === undefined ? [] : [{ resource, soft, hard }];
		}),
		hostname: mounts ? HOSTNAME : undefined,
		stderr: STDERR_FD,
		loopback: mounts && limits.network === 'none',
		filter: seccompProgram(spec, HERE)?.toString('base64'),
		argv,
		env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
	};
}

import type { UserNamespace } from './ladder.js';
import type { Limits } from './limits.js';
import type { Proc } from './sandboxes.js';

/** One process to run in a root filesystem, in the image's own terms: paths and ids are those inside. */
export interface ContainerProcess {
	readonly argv: readonly [string, ...string[]];
	readonly env: Readonly<Record<string, string>>;
	readonly cwd: string;
	readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
}

/** A file or directory of the host that the process sees; never with set-user-ID programs or devices. Its mount point exists. */
export interface BindMount {
	readonly source: string;
	/** Absolute, inside the root filesystem, free of links. */
	readonly destination: string;
	readonly type: 'file' | 'directory';
	readonly readOnly: boolean;
}

/** Everything a sandbox needs to know; each sandbox turns it into its own configuration, purely. */
export interface SandboxSpec {
	/** Absolute host path of the mounted root filesystem. */
	readonly rootfs: string;
	readonly process: ContainerProcess;
	readonly binds: readonly BindMount[];
	/** Of these, `network`, `capDrop` and `ulimits` are the sandbox's to enforce. */
	readonly limits: Limits;
	/** The user namespace we are in: with a single id, the process can have no other owner than it. */
	readonly userNamespace: UserNamespace;
	/** Whether we may mount. */
	readonly mounts: boolean;
	/** Whether a new /proc can be mounted, or the process has to see that of the job. */
	readonly proc: Proc;
}

/** Standard streams of the process: file descriptors of this process. */
export interface SandboxStreams {
	readonly stdin: number | 'ignore';
	readonly stdout: number;
	readonly stderr: number;
}

/** Where a sandbox keeps its own files while it runs; private, and removed by the caller. */
export interface SandboxRun {
	readonly spec: SandboxSpec;
	readonly streams: SandboxStreams;
	readonly scratch: string;
	/** The environment of the sandbox program itself; the process sees only `spec.process.env`. */
	readonly hostPath: string;
	/** Whether to do with what container engines still allow: no keyring, no host name, no change of the root mount of its own. */
	readonly less: boolean;
	/** Calls its argument, which starts the sandbox program, at once; what is started then is in the process's control group. */
	readonly inGroup: <T>(start: () => T) => T;
	/** Has the kernel kill what is in that group, where it can. */
	readonly killGroup: () => void;
}

/** How the process ended. */
export type Exit =
	| { readonly type: 'code'; readonly code: number }
	| { readonly type: 'signal'; readonly signal: NodeJS.Signals };

/** What a sandbox run came to: `refused` means that the process never started and another sandbox may be tried. */
export type SandboxOutcome =
	| {
			readonly type: 'exited';
			readonly exit: Exit;
			/** Why there was no filter of system calls where there should have been one. */
			readonly unfiltered?: string;
	  }
	| { readonly type: 'refused'; readonly reason: string };

/** The same on every machine, so that it cannot get into the image by chance. */
export const HOSTNAME = 's2oci';

/**
 * What Docker lets a container's root do (moby profiles default), but for CAP_MKNOD, which only its device cgroup makes safe, and
 * CAP_NET_RAW where the network is the host's: it reads and forges what others send there.
 */
const DEFAULT_CAPABILITIES: readonly string[] = [
	'CAP_CHOWN',
	'CAP_DAC_OVERRIDE',
	'CAP_FOWNER',
	'CAP_FSETID',
	'CAP_KILL',
	'CAP_NET_BIND_SERVICE',
	'CAP_NET_RAW',
	'CAP_SETFCAP',
	'CAP_SETGID',
	'CAP_SETPCAP',
	'CAP_SETUID',
	'CAP_SYS_CHROOT',
];

/** The capabilities of a process that runs as root. */
export function capabilitiesOf({ capDrop, network }: Limits): readonly string[] {
	const dropped = network === 'none' ? capDrop : [...capDrop, 'CAP_NET_RAW'];
	return dropped.includes('ALL') ? [] : DEFAULT_CAPABILITIES.filter((name) => !dropped.includes(name));
}

/** An exit status as a shell gives it: 128 + n after signal n. */
export function exitStatus(exit: Exit, signals: Readonly<Record<string, number>>): number {
	return exit.type === 'code' ? exit.code : 128 + (signals[exit.signal] ?? 0);
}

/** The opposite: sandboxes and shells report a death by signal n as 128 + n. */
export function shellExit(code: number): Exit {
	const names: Readonly<Record<number, NodeJS.Signals>> = {
		134: 'SIGABRT',
		137: 'SIGKILL',
		139: 'SIGSEGV',
		143: 'SIGTERM',
	};
	const signal = names[code];
	return signal === undefined ? { type: 'code', code } : { type: 'signal', signal };
}

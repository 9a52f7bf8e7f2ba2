/** One process to run in a root filesystem, in the image's own terms: paths and ids are those inside. */
export interface ContainerProcess {
	readonly argv: readonly [string, ...string[]];
	readonly env: Readonly<Record<string, string>>;
	readonly cwd: string;
	readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
}

/** A read-only file or directory of the host that the process sees. Its mount point exists. */
export interface BindMount {
	readonly source: string;
	/** Absolute, inside the root filesystem, free of links. */
	readonly destination: string;
}

export type SandboxName = 'runc' | 'crun' | 'bwrap';

/** Everything a sandbox needs to know; each sandbox turns it into its own configuration, purely. */
export interface SandboxSpec {
	/** Absolute host path of the mounted root filesystem. */
	readonly rootfs: string;
	readonly process: ContainerProcess;
	readonly binds: readonly BindMount[];
	/** The user namespace we are in: with a single id, the process can have no other owner than it. */
	readonly userNamespace: 'none' | 'full' | 'single';
}

/** How the process ended. */
export type Exit =
	| { readonly type: 'code'; readonly code: number }
	| { readonly type: 'signal'; readonly signal: NodeJS.Signals };

/** What a sandbox run came to: `refused` means that the process never started and another sandbox may be tried. */
export type SandboxOutcome =
	| { readonly type: 'exited'; readonly exit: Exit }
	| { readonly type: 'refused'; readonly reason: string };

/** The same on every machine, so that it cannot get into the image by chance. */
export const HOSTNAME = 's2oci';

/** What Docker lets a container's root do (moby profiles default), but for CAP_MKNOD, which only its device cgroup makes safe. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
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

/** An exit status as a shell gives it: 128 + n after signal n. */
export function exitStatus(exit: Exit, signals: Readonly<Record<string, number>>): number {
	return exit.type === 'code' ? exit.code : 128 + (signals[exit.signal] ?? 0);
}

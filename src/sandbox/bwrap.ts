import { MASKED_PATHS, READONLY_PATHS } from './kernel-paths.js';
import { type Limits, type Ulimit, UNLIMITED } from './limits.js';
import { type BindMount, capabilitiesOf, HOSTNAME, type SandboxSpec } from './sandbox.js';

const CAPABILITY_BITS = 64;

/** How bwrap is called: its options, which go through a pipe so that no secret of the environment is in an argv, and its ids. */
export interface BwrapCall {
	readonly options: readonly string[];
	/** What the bounding set is to be, which bwrap leaves to root as it is; undefined for other users, whose set it empties. */
	readonly bounding: readonly string[] | undefined;
	readonly uid: number | undefined;
	readonly gid: number | undefined;
}

/**
 * The bwrap options. `fds.status` is where bwrap reports as JSON whether the process started. With a single id the assemble user is
 * that id under another number; with more ids bwrap itself starts as the assemble user, since it cannot switch users. `fds.seccomp` is
 * where bwrap reads its filter, undefined for none; with `less` there is no host name of its own; `typeOf` says what is at a path of the kernel here.
 */
export function bwrapCall(
	spec: SandboxSpec,
	fds: { readonly status: number; readonly seccomp: number | undefined },
	less: boolean,
	typeOf: (path: string) => 'file' | 'directory' | undefined,
): BwrapCall {
	const { process, userNamespace, limits } = spec;
	const asRoot = userNamespace !== 'single' && process.user.uid === 0;
	const ids = ['--uid', String(process.user.uid), '--gid', String(process.user.gid)];
	return {
		...whoStarts(spec, asRoot),
		options: [
			...(asRoot ? rootCapabilities(limits) : ['--unshare-user', ...ids, '--cap-drop', 'ALL']),
			...[
				'--unshare-pid',
				// Else bwrap itself stays in there, and /proc/1/exe is a file of the host that may belong to the process's user (CVE-2019-5736).
				'--as-pid-1',
				'--unshare-ipc',
				...(less ? [] : ['--unshare-uts', '--unshare-cgroup-try']),
				...(limits.network === 'none' ? ['--unshare-net'] : []),
				...(less ? [] : ['--hostname', HOSTNAME]),
				'--die-with-parent',
				'--new-session',
			],
			...['--json-status-fd', String(fds.status)],
			...(fds.seccomp === undefined ? [] : ['--seccomp', String(fds.seccomp)]),
			...['--bind', spec.rootfs, '/'],
			...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/dev/shm', '--ro-bind', '/sys', '/sys'],
			...READONLY_PATHS.flatMap((path) => (typeOf(path) === undefined ? [] : ['--ro-bind', path, path])),
			...MASKED_PATHS.flatMap((path) => mask(path, typeOf(path))),
			...spec.binds.flatMap(bindMount),
			...Object.entries(process.env).flatMap(([name, value]) => ['--setenv', name, value]),
			...(process.env['PATH'] === undefined ? ['--unsetenv', 'PATH'] : []),
			...['--chdir', process.cwd],
		],
	};
}

function whoStarts(
	{ process: { user }, userNamespace, limits }: SandboxSpec,
	asRoot: boolean,
): Pick<BwrapCall, 'bounding' | 'uid' | 'gid'> {
	if (asRoot) return { bounding: capabilitiesOf(limits), uid: undefined, gid: undefined };
	if (userNamespace === 'single') return { bounding: undefined, uid: undefined, gid: undefined };
	return { bounding: undefined, uid: user.uid, gid: user.gid };
}

/** The options of prlimit(1), which starts bwrap with the limits that bwrap cannot set. */
export function prlimitOptions(ulimits: readonly Ulimit[]): readonly string[] {
	const value = (limit: number) => (limit === UNLIMITED ? 'unlimited' : String(limit));
	return ulimits.map(({ name, soft, hard }) => `--${name}=${value(soft)}:${value(hard)}`);
}

/**
 * Programs before bwrap that leave it only `bounding` in its bounding set. Root has after an exec what is in that set or inheritable, so all
 * that we have (`permitted`, a mask) becomes inheritable first, and bwrap can do its work; it takes that away again.
 */
export function setprivWords(setpriv: string, bounding: readonly string[], permitted: bigint): readonly string[] {
	const ours = [...Array(CAPABILITY_BITS).keys()].filter((bit) => ((permitted >> BigInt(bit)) & 1n) === 1n);
	const kept = bounding.map((name) => `,+${name.replace(/^CAP_/, '').toLowerCase()}`);
	return [
		...[setpriv, '--inh-caps', ours.map((bit) => `+cap_${bit}`).join(',')],
		...[setpriv, '--bounding-set', `-all${kept.join('')}`],
	];
}

function rootCapabilities(limits: Limits): readonly string[] {
	return ['--cap-drop', 'ALL', ...capabilitiesOf(limits).flatMap((name) => ['--cap-add', name])];
}

function mask(path: string, type: 'file' | 'directory' | undefined): readonly string[] {
	if (type === undefined) return [];
	return type === 'file' ? ['--ro-bind', '/dev/null', path] : ['--tmpfs', path, '--remount-ro', path];
}

/** bwrap itself adds nosuid and nodev. */
function bindMount({ source, destination, readOnly }: BindMount): readonly string[] {
	return [readOnly ? '--ro-bind' : '--bind', source, destination];
}

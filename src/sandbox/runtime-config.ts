import { MASKED_PATHS, READONLY_PATHS } from './kernel-paths.js';
import { type Ulimit, UNLIMITED } from './limits.js';
import type { Machine } from './profile.js';
import { type BindMount, capabilitiesOf, HOSTNAME, type SandboxSpec } from './sandbox.js';
import { HERE, seccompConfig } from './seccomp.js';

interface OciMount {
	readonly destination: string;
	readonly type: string;
	readonly source: string;
	readonly options: readonly string[];
}

const NAMESPACES: readonly string[] = ['mount', 'pid', 'ipc'];
/** Of those, engines forbid some. */
const MORE_NAMESPACES: readonly string[] = ['uts', 'cgroup'];
const TTY_GID_OPTIONS: readonly string[] = ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'];

/** `RLIM_INFINITY`, which JavaScript has no number for. */
const INFINITY = '18446744073709551615';

/** The text of `config.json` for runc and crun; with `less`, without a host name. */
export function runtimeConfigText(spec: SandboxSpec, less: boolean): string {
	return JSON.stringify(runtimeConfig(spec, less, HERE)).replace(/"(soft|hard)":"unlimited"/g, `"$1":${INFINITY}`);
}

/**
 * The OCI runtime configuration (runtime-spec v1.0.2 config.md) for runc and crun. It asks for nothing that an unprivileged user
 * namespace refuses: no cgroup, no user namespace of its own, and a network namespace only for one that has nothing but loopback.
 */
export function runtimeConfig(spec: SandboxSpec, less: boolean, machine: Machine): object {
	const seccomp = seccompConfig(spec, machine);
	const { process, userNamespace, limits } = spec;
	const single = userNamespace === 'single';
	const user = single ? { uid: 0, gid: 0, additionalGids: [] } : process.user;
	const capabilities = !single && user.uid === 0 ? capabilitiesOf(limits) : [];
	return {
		ociVersion: '1.0.2',
		process: {
			terminal: false,
			user: { ...user, umask: 0o022 },
			args: process.argv,
			env: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
			cwd: process.cwd,
			capabilities: {
				bounding: capabilities,
				effective: capabilities,
				permitted: capabilities,
				inheritable: [],
				ambient: [],
			},
			...(limits.ulimits.length > 0 && { rlimits: limits.ulimits.map(rlimit) }),
			noNewPrivileges: true,
		},
		root: { path: spec.rootfs, readonly: false },
		...(!less && { hostname: HOSTNAME }),
		mounts: [...systemMounts(userNamespace), ...spec.binds.map(bindMount)],
		linux: {
			namespaces: [
				...NAMESPACES,
				...(less ? [] : MORE_NAMESPACES),
				...(limits.network === 'none' ? ['network'] : []),
			].map((type) => ({ type })),
			maskedPaths: MASKED_PATHS,
			readonlyPaths: READONLY_PATHS,
			...(seccomp !== undefined && { seccomp }),
		},
	};
}

/** A real /sys cannot be mounted without a network namespace of our own in a user namespace, so there the host's is shown. */
function systemMounts(userNamespace: SandboxSpec['userNamespace']): readonly OciMount[] {
	const sys: OciMount =
		userNamespace === 'none'
			? { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] }
			: { destination: '/sys', type: 'bind', source: '/sys', options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'] };
	return [
		{ destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
		{
			destination: '/dev',
			type: 'tmpfs',
			source: 'tmpfs',
			options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
		},
		{ destination: '/dev/pts', type: 'devpts', source: 'devpts', options: TTY_GID_OPTIONS },
		{
			destination: '/dev/shm',
			type: 'tmpfs',
			source: 'shm',
			options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
		},
		{ destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
		sys,
	];
}

function bindMount(bind: BindMount): OciMount {
	return {
		destination: bind.destination,
		type: 'bind',
		source: bind.source,
		options: [
			bind.type === 'directory' ? 'rbind' : 'bind',
			bind.readOnly ? 'ro' : 'rw',
			'nosuid',
			'nodev',
			bind.type === 'directory' ? 'rprivate' : 'private',
		],
	};
}

function rlimit({ name, soft, hard }: Ulimit): object {
	const value = (limit: number) => (limit === UNLIMITED ? 'unlimited' : limit);
	return { type: `RLIMIT_${name.toUpperCase()}`, soft: value(soft), hard: value(hard) };
}

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
	return [
		mount('/proc', 'proc', 'proc', 'nosuid,noexec,nodev'),
		mount('/dev', 'tmpfs', 'tmpfs', 'nosuid,strictatime,mode=755,size=65536k'),
		mount('/dev/pts', 'devpts', 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620'),
		mount('/dev/shm', 'tmpfs', 'shm', 'nosuid,noexec,nodev,mode=1777,size=65536k'),
		mount('/dev/mqueue', 'mqueue', 'mqueue', 'nosuid,noexec,nodev'),
		userNamespace === 'none'
			? mount('/sys', 'sysfs', 'sysfs', 'nosuid,noexec,nodev,ro')
			: mount('/sys', 'bind', '/sys', 'rbind,nosuid,noexec,nodev,ro'),
	];
}

function bindMount({ source, destination, type, readOnly }: BindMount): OciMount {
	const [bind, propagation] = type === 'directory' ? ['rbind', 'rprivate'] : ['bind', 'private'];
	return mount(destination, 'bind', source, `${bind},${readOnly ? 'ro' : 'rw'},nosuid,nodev,${propagation}`);
}

/** `options` as mount(8) has them. */
function mount(destination: string, type: string, source: string, options: string): OciMount {
	return { destination, type, source, options: options.split(',') };
}

function rlimit({ name, soft, hard }: Ulimit): object {
	const value = (limit: number) => (limit === UNLIMITED ? 'unlimited' : limit);
	return { type: `RLIMIT_${name.toUpperCase()}`, soft: value(soft), hard: value(hard) };
}

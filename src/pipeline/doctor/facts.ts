import { existsSync, statSync } from 'node:fs';
import { fileText } from '../../file-text.js';
import { findMount, type Mount, readMounts } from '../../mountinfo.js';
import { findProgram } from '../../program.js';

/** What the kernel and the disk say of this process and this host. It explains failures; it never replaces an attempt. */
export interface HostFacts {
	readonly uid: number;
	/** Of user.max_user_namespaces; undefined where there is no such setting. */
	readonly maxUserNamespaces: number | undefined;
	/** Ubuntu's kernel.apparmor_restrict_unprivileged_userns. */
	readonly apparmorRestricts: boolean;
	/** Debian's kernel.unprivileged_userns_clone is 0. */
	readonly cloneForbidden: boolean;
	/** The AppArmor profile that we are confined by. */
	readonly apparmorProfile: string | undefined;
	/** Whether a seccomp filter is on. */
	readonly seccomp: boolean;
	readonly noNewPrivileges: boolean;
	/** Names such as `sysAdmin` of the effective capabilities that matter here. */
	readonly capabilities: { readonly sysAdmin: boolean; readonly sysChroot: boolean };
	/** Whether our root directory is not where anything is mounted: the kernel gives nobody there a user namespace. */
	readonly changedRoot: boolean;
	/** Whether something is mounted over parts of /proc. */
	readonly maskedProc: boolean;
	/** Of newuidmap and newgidmap, when they are there: whether both may gain privileges. */
	readonly mappers: { readonly setuid: boolean; readonly nosuid: boolean } | undefined;
	/** ID and ID_LIKE of os-release(5). */
	readonly distributions: readonly string[];
	readonly inContainer: boolean;
	/** Whether a Kubernetes service account is mounted. */
	readonly serviceAccount: boolean;
}

const CAP_SYS_CHROOT = 18n;
const CAP_SYS_ADMIN = 21n;
const SETUID = 0o4000;

/** Reads the facts; what cannot be read is taken to be harmless. */
export function readFacts(env: Readonly<Record<string, string | undefined>>): HostFacts {
	const status = new Map(
		fileText('/proc/self/status')
			.split('\n')
			.map((line) => line.split(/:\s*/, 2) as [string, string]),
	);
	const effective = BigInt(`0x${/^[0-9a-f]{1,16}$/.exec(status.get('CapEff') ?? '')?.[0] ?? '0'}`);
	const profile = /^\S+/.exec(fileText('/proc/self/attr/current').replace(/\0/g, ''))?.[0];
	const mounts = mountsHere();
	return {
		uid: process.getuid?.() ?? 0,
		maxUserNamespaces: readNumber('/proc/sys/user/max_user_namespaces'),
		apparmorRestricts: readNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === 1,
		cloneForbidden: readNumber('/proc/sys/kernel/unprivileged_userns_clone') === 0,
		apparmorProfile: profile === 'unconfined' ? undefined : profile,
		seccomp: status.get('Seccomp') === '2',
		noNewPrivileges: status.get('NoNewPrivs') === '1',
		capabilities: { sysAdmin: has(effective, CAP_SYS_ADMIN), sysChroot: has(effective, CAP_SYS_CHROOT) },
		changedRoot: !mounts.some(({ path }) => path === '/'),
		maskedProc: mounts.some(({ path }) => path.startsWith('/proc/')),
		mappers: readMappers(env['PATH'], mounts),
		distributions: [...fileText('/etc/os-release').matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap(([, ids = '']) =>
			ids.split(' '),
		),
		inContainer: existsSync('/.dockerenv') || existsSync('/run/.containerenv'),
		serviceAccount: existsSync('/var/run/secrets/kubernetes.io/serviceaccount'),
	};
}

function readMappers(path: string | undefined, mounts: readonly Mount[]): HostFacts['mappers'] {
	const found = ['newuidmap', 'newgidmap'].map((name) => findProgram(name, path));
	const [uids, gids] = found;
	if (uids === undefined || gids === undefined) return undefined;
	const isNosuid = (program: string) => {
		const mount = findMount(mounts, program);
		return mount !== undefined && optionsOf(mount).includes('nosuid');
	};
	return {
		setuid: [uids, gids].every((program) => (statSync(program).mode & SETUID) !== 0),
		nosuid: [uids, gids].some(isNosuid),
	};
}

function has(capabilities: bigint, number: bigint): boolean {
	return (capabilities & (1n << number)) !== 0n;
}

function readNumber(path: string): number | undefined {
	const text = fileText(path).trim();
	return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

const NETWORK =
	/^(?:nfs4?|cifs|smb3|9p|ceph|lustre|gpfs|glusterfs|afs|fuse(?:\..*)?|fuseblk|virtiofs|beegfs|orangefs)$/;

/** What is mounted where we are, in the order of mounting. Empty when the kernel does not say. */
export function mountsHere(): readonly Mount[] {
	try {
		return readMounts();
	} catch {
		return [];
	}
}

/** Its options, each once: those of the mount point and those of the file system. */
export function optionsOf({ options, superOptions }: Mount): readonly string[] {
	return [...new Set([...options, ...superOptions])];
}

/** Whether files of a file system of this type come from another machine or another process. */
export function isNetworkType(type: string): boolean {
	return NETWORK.test(type);
}

/** In the order in which a fix is worth reading: who gave us this job, then what it runs in, then the distribution. */
export const ENVIRONMENTS = ['github', 'gitlab', 'openshift', 'kubernetes', 'container', 'rhel', 'debian'] as const;

/** A kind of place that s2oci runs in, for which there is a way to fix things. */
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

type Evidence = Pick<HostFacts, 'distributions' | 'inContainer' | 'serviceAccount'>;

/** Where we seem to be, in the order of {@link ENVIRONMENTS}. */
export function detectEnvironments(
	env: Readonly<Record<string, string | undefined>>,
	{ distributions, inContainer, serviceAccount }: Evidence,
): readonly EnvironmentName[] {
	const isPod = serviceAccount || (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '';
	const isRhel = distributions.some((id) => ['rhel', 'fedora', 'centos'].includes(id));
	const signs: Readonly<Record<EnvironmentName, boolean>> = {
		github: env['GITHUB_ACTIONS'] === 'true',
		gitlab: env['GITLAB_CI'] === 'true',
		openshift: Object.keys(env).some((name) => name.startsWith('OPENSHIFT_')) || (isPod && isRhel),
		kubernetes: isPod,
		container: inContainer && !isPod,
		rhel: isRhel,
		debian: distributions.some((id) => ['debian', 'ubuntu'].includes(id)),
	};
	return ENVIRONMENTS.filter((name) => signs[name]);
}

import { fileURLToPath } from 'node:url';
import type { TestContext } from 'vitest';
import type { Rung } from '../../src/pipeline/events.js';
import type { RunOptions } from './build.js';
import { makeWorkspace, requirePrograms, requireRoot, requireUser, type UserName, type Workspace } from './host.js';

type Host = 'as it is' | 'the store on tmpfs' | 'the store on an overlay' | 'a masked /proc' | 'no namespaces';

/** One way to run a build on this machine, and what it should come to. */
export interface TestRung {
	/** Of the ladder in docs/design.md. */
	readonly number: number;
	readonly user: UserName;
	readonly host: Host;
	readonly args: readonly string[];
	/** Programs that it needs. */
	readonly programs: readonly string[];
	readonly expected: Partial<Rung>;
}

/** A workspace on the host of a rung, and how to run s2oci there. */
export interface Arranged {
	readonly workspace: Workspace;
	readonly options: Pick<RunOptions, 'wrapper'>;
	readonly args: readonly string[];
}

const NAMESPACES = { root: 'none', 's2oci-subuid': 'full', 's2oci-plain': 'single' } as const;
const NUMBERS = { root: 1, 's2oci-subuid': 2, 's2oci-plain': 3 } as const;
const USERS: readonly UserName[] = ['root', 's2oci-subuid', 's2oci-plain'];
const SANDBOXES = ['runc', 'crun', 'bwrap', 'chroot'] as const;
const WITHOUT_NAMESPACES = fileURLToPath(new URL('./without-namespaces', import.meta.url));
/** $STORE becomes what `$OWNER` owns on another file system. */
const SETUPS: Readonly<Partial<Record<Host, string>>> = {
	'a masked /proc': 'chown "$OWNER" "$STORE"; mount -t tmpfs tmpfs /proc/sys/kernel',
	'the store on tmpfs': 'mount -t tmpfs -o mode=0755 tmpfs "$STORE"; chown "$OWNER" "$STORE"',
	'the store on an overlay': `cd "$STORE/.."; mkdir lower upper work; chown "$OWNER" lower upper
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work "$STORE"; cd /`,
};

/** A rung of `user` with a sandbox of its own choice. */
export function rungOf(user: UserName, sandbox: (typeof SANDBOXES)[number], rootfs?: 'copy'): TestRung {
	const isCopy = rootfs === 'copy';
	return {
		number: isCopy ? 4 : NUMBERS[user],
		user,
		host: 'as it is',
		args: ['--isolation', sandbox, ...(isCopy ? ['--rootfs', 'copy'] : [])],
		programs: sandbox === 'chroot' ? [] : [sandbox],
		expected: { userNamespace: NAMESPACES[user], rootfs: isCopy ? 'copy' : 'overlay', sandbox },
	};
}

/** A rung of `user` where s2oci has to find out itself what the host gives. */
export function foundBy(user: UserName, host: Host, expected: Partial<Rung>): TestRung {
	const number = host === 'no namespaces' ? 5 : expected.rootfs === 'copy' ? 4 : NUMBERS[user];
	return { number, user, host, args: [], programs: [], expected: { userNamespace: NAMESPACES[user], ...expected } };
}

/** Root without mounts and namespaces. */
export const CHROOT: TestRung = foundBy('root', 'no namespaces', { rootfs: 'copy', sandbox: 'chroot' });

/** Users whom the kernel gives no new /proc. */
const MASKED: readonly TestRung[] = [
	foundBy('s2oci-subuid', 'a masked /proc', { sandbox: 'chroot' }),
	foundBy('s2oci-plain', 'a masked /proc', { sandbox: 'chroot' }),
];

/** Every rung that this machine can show, with every sandbox and below the store every kind of file system. */
export const ALL_RUNGS: readonly TestRung[] = [
	...USERS.flatMap((user) => SANDBOXES.map((sandbox) => rungOf(user, sandbox))),
	...USERS.map((user) => rungOf(user, user === 's2oci-plain' ? 'bwrap' : 'runc', 'copy')),
	...USERS.map((user) => foundBy(user, 'the store on tmpfs', {})),
	...MASKED,
	...USERS.map((user) => foundBy(user, 'the store on an overlay', { rootfs: 'copy' })),
	CHROOT,
];

/** One for each rung. */
export const EACH_RUNG: readonly TestRung[] = [
	...[rungOf('root', 'runc'), rungOf('s2oci-subuid', 'runc'), rungOf('s2oci-plain', 'bwrap')],
	...[rungOf('root', 'bwrap', 'copy'), rungOf('s2oci-plain', 'bwrap', 'copy'), CHROOT, ...MASKED],
];

/** `rung 4, s2oci-plain, the store on an overlay`. */
export function describeRung({ number, user, host, args }: TestRung): string {
	const how = host === 'as it is' ? args.filter((word) => !word.startsWith('--')).join(', ') : host;
	return `rung ${String(number)}, ${user}, ${how}`;
}

/** Makes a workspace on the host of `rung`; skips the test, saying why, where that cannot be. */
export function arrange(rung: TestRung, context: TestContext): Arranged {
	requirePrograms(context, ...rung.programs);
	if (rung.host !== 'as it is') requireRoot(context);
	const workspace = makeWorkspace(requireUser(context, rung.user));
	return { workspace, args: rung.args, options: { ...onHost(rung.host, workspace) } };
}

function onHost(host: Host, { store, user }: Workspace): Pick<RunOptions, 'wrapper'> {
	if (host === 'as it is') return {};
	if (host === 'no namespaces') return { wrapper: [WITHOUT_NAMESPACES] };
	const owner = user === undefined ? '0:0' : `${String(user.uid)}:${String(user.gid)}`;
	const script = `set -e; STORE=${store}; OWNER=${owner}; mkdir -p "$STORE"\n${SETUPS[host] ?? ''}\nexec "$@"`;
	return { wrapper: ['unshare', '--mount', 'sh', '-c', script, 'sh'] };
}

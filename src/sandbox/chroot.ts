import { CAPABILITY_NUMBERS } from '../linux/capabilities.js';
import type { Entry } from '../linux/enter.js';
import { findProgram } from '../program.js';
import { rawPath } from '../root-path.js';
import { chrootMounts } from './chroot-mounts.js';
import { typeOf } from './kernel-paths.js';
import { endOf } from './launch.js';
import type { Exit, SandboxOutcome, SandboxRun, SandboxSpec } from './sandbox.js';
import { capabilitiesOf, HOSTNAME, shellExit } from './sandbox.js';
import { HERE, seccompProgram } from './seccomp.js';
import { endWithDescendants, STDERR_FD, startEntry } from './start-entry.js';
import { resourceOf } from './ulimits.js';

/**
 * Runs the process below a changed root directory. Where nothing can be mounted, for root in a plain container, it has no namespace of its
 * own, and what it leaves running is killed; throws ASSEMBLE_SURVIVED when that fails. Elsewhere it gets the namespaces and mounts that an
 * OCI runtime gives, without what some container engines forbid those: pivot_root(2), and keyrings. A root process does not
 * get CAP_SYS_CHROOT, with which it could leave; nor can it make a user namespace to get it (user_namespaces(7)).
 */
export async function runChroot(run: SandboxRun, signal: AbortSignal): Promise<SandboxOutcome> {
	const { spec, hostPath } = run;
	const unshare = spec.mounts ? findProgram('unshare', hostPath) : undefined;
	if (spec.mounts && unshare === undefined)
		return { type: 'refused', reason: 'unshare (package util-linux) is not installed' };
	const prefix = unshare === undefined ? [] : [unshare, ...unshareOptions(run), '--'];
	const mounts = spec.mounts ? chrootMounts(spec, typeOf) : [];
	const { child, conclude } = startEntry({ ...entryOf(spec), mounts }, prefix, run);
	// The kernel ends what is left of a pid namespace.
	const exit = await (spec.mounts ? endOf(child, child.kill, signal) : endWithDescendants(child, run, signal));
	const end = conclude(exit);
	return end.type === 'refused' ? end : { type: 'exited', exit: exitOf(end.exit, end.complaint) };
}

/** unshare(1) that is to die of SIGKILL as its child did, fails to. */
function exitOf(exit: Exit, complaint: string): Exit {
	if (complaint.includes('unblock')) return { type: 'signal', signal: 'SIGKILL' };
	return exit.type === 'code' ? shellExit(exit.code) : exit;
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
		...(less ? [] : ['--ipc', '--uts', '--cgroup']),
		...(limits.network === 'none' ? ['--net'] : []),
	];
}

function entryOf(spec: SandboxSpec): Entry {
	const { rootfs, limits, mounts, userNamespace, process } = spec;
	const { argv, env, cwd, user } = process;
	const kept = user.uid === 0 ? capabilitiesOf(limits) : [];
	return {
		confinement: {
			root: rawPath(rootfs),
			isMount: mounts,
			uid: user.uid,
			gid: user.gid,
			groups: userNamespace === 'single' && mounts ? undefined : user.additionalGids,
			capabilities: Object.entries(CAPABILITY_NUMBERS).flatMap(([name, number]) =>
				kept.includes(name) ? [number] : [],
			),
		},
		cwd,
		limits: limits.ulimits.flatMap(({ name, soft, hard }) => {
			const resource = resourceOf(name);
			return resource === undefined ? [] : [{ resource, soft, hard }];
		}),
		hostname: mounts ? HOSTNAME : undefined,
		stderr: STDERR_FD,
		loopback: mounts && limits.network === 'none',
		filter: seccompProgram({ ...spec, besideOthers: !mounts }, HERE)?.toString('base64'),
		argv,
		env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
	};
}

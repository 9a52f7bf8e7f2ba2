import { CAPABILITY_NUMBERS, capabilitySet } from '../linux/capabilities.js';
import type { LandlockReach } from '../linux/landlock.js';
import type { UserNamespace } from './ladder.js';
import type { Limits } from './limits.js';
import { capabilitiesOf } from './sandbox.js';

/**
 * What the job itself may not do, and so nothing that is started in it, whatever a sandbox would allow: one sentence each, for people.
 * `status` is the text of proc_pid_status(5) of this process. In a user namespace of its own a process has all capabilities there.
 */
export function describeBounds(status: string, userNamespace: UserNamespace, limits: Limits): readonly string[] {
	const lacking = userNamespace === 'none' && status.includes('CapBnd:') ? lackingCapabilities(status, limits) : [];
	return [
		...(/^Seccomp:\s*2$/m.test(status)
			? ['the job has a seccomp filter of its own: what that forbids stays forbidden, whatever --security-opt allows']
			: []),
		...(lacking.length > 0 ? [`root of an image lacks ${lacking.join(', ')}, which the job has not got`] : []),
	];
}

/** What Landlock does not keep a process in a changed root directory from (docs/security.md), for people. */
export function describeLandlock(reach: LandlockReach): readonly string[] {
	const outside = 'a process can signal processes of the job, and speak to its abstract sockets';
	if (reach === 'files-and-signals') return [];
	if (reach === 'files') return [`Landlock of this kernel is older than that of Linux 6.12: ${outside}`];
	return [`there is no Landlock here: ${outside}, which could pass it a directory outside of its root`];
}

function lackingCapabilities(status: string, limits: Limits): readonly string[] {
	const bounding = capabilitySet('CapBnd', status);
	return capabilitiesOf(limits).filter((name) => {
		const number = name in CAPABILITY_NUMBERS ? CAPABILITY_NUMBERS[name as keyof typeof CAPABILITY_NUMBERS] : undefined;
		return number !== undefined && ((bounding >> BigInt(number)) & 1n) === 0n;
	});
}

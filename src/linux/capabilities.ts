import { fileText } from '../file-text.js';

/** Numbers of capabilities(7): those that a container's root may have. */
export const CAPABILITY_NUMBERS = {
	CAP_CHOWN: 0,
	CAP_DAC_OVERRIDE: 1,
	CAP_FOWNER: 3,
	CAP_FSETID: 4,
	CAP_KILL: 5,
	CAP_SETGID: 6,
	CAP_SETUID: 7,
	CAP_SETPCAP: 8,
	CAP_NET_BIND_SERVICE: 10,
	CAP_NET_RAW: 13,
	CAP_SETFCAP: 31,
} as const;

/** A set of capabilities in `status`, the text of proc_pid_status(5), as a mask; empty where the text does not say. */
export function capabilitySet(name: 'CapEff' | 'CapPrm' | 'CapBnd', status: string): bigint {
	const digits = new RegExp(`^${name}:\\s*([0-9a-f]{1,16})$`, 'm').exec(status)?.[1] ?? '0';
	return BigInt(`0x${digits}`);
}

/** Such a set of this process; empty where there is no /proc. */
export function ourCapabilities(name: 'CapEff' | 'CapPrm'): bigint {
	return capabilitySet(name, fileText('/proc/self/status'));
}

/** Whether this process is root and may start processes of any user, and give them files. */
export function mayBecomeAnyone(): boolean {
	if (process.geteuid?.() !== 0) return false;
	const effective = ourCapabilities('CapEff');
	const needed = ['CAP_CHOWN', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SETPCAP'] as const;
	return needed.every((name) => ((effective >> BigInt(CAPABILITY_NUMBERS[name])) & 1n) === 1n);
}

/** How many ids from 0 on there are where we are: few when we are root of a user namespace, as in a rootless container. */
export function ownIds(kind: 'uid' | 'gid'): number {
	const lines = fileText(`/proc/self/${kind}_map`).split('\n');
	const ranges = lines.map((line) => line.trim().split(/\s+/).map(Number));
	let count = 0;
	for (const [inside, , size = 0] of ranges) if (inside === count) count += size;
	return count;
}

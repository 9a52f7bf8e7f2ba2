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

import { readFileSync } from 'node:fs';

/** Numbers of capabilities(7). */
const NUMBERS = { chown: 0, setgid: 6, setuid: 7, setpcap: 8 } as const;

/** Whether this process is root and may start processes of any user, and give them files. */
export function mayBecomeAnyone(): boolean {
	return process.geteuid?.() === 0 && has('chown', 'setgid', 'setuid', 'setpcap');
}

function has(...names: readonly (keyof typeof NUMBERS)[]): boolean {
	const effective = readEffective();
	return names.every((name) => ((effective >> BigInt(NUMBERS[name])) & 1n) === 1n);
}

/** None where there is no /proc. */
function readEffective(): bigint {
	try {
		const [, digits = '0'] = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
		return BigInt(`0x${digits}`);
	} catch {
		return 0n;
	}
}

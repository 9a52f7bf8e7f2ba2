import type { Listening } from '../protocol/observation.js';

/** A listening socket, and the user who made it, in the ids of whoever reads the table. */
export interface SocketRow extends Listening {
	readonly uid: number;
}

const LISTEN = '0A';
const ROW = /^\s*\d+:\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})\s+\S+\s+([0-9A-F]{2})\s+\S+\s+\S+\s+\S+\s+(\d+)/gm;

/** The listening sockets in `text`, a table of proc_net(5): /proc/net/tcp or tcp6. */
export function listeningIn(text: string): readonly SocketRow[] {
	return [...text.matchAll(ROW)].flatMap(([, address = '', port = '', state, uid]): SocketRow | readonly [] => {
		if (state !== LISTEN) return [];
		const family = address.length === 8 ? 4 : 6;
		return { port: Number.parseInt(port, 16), address: kindOf(address), family, uid: Number(uid) };
	});
}

/** Addresses are words in the byte order of this machine, which is little-endian wherever s2oci runs. */
function kindOf(address: string): Listening['address'] {
	if (/^0+$/.test(address)) return 'any';
	const isLoopback4 = address.length === 8 && address.endsWith('7F');
	return isLoopback4 || address === '00000000000000000000000001000000' ? 'loopback' : 'other';
}

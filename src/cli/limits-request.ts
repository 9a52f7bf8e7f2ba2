import { isIP } from 'node:net';
import type { Emit } from '../pipeline/events.js';
import type { Limits } from '../sandbox/limits.js';
import { firstSet, impossible } from './host-request.js';
import type { SandboxArguments } from './sandbox-options.js';
import { readSecurityOptions } from './security-request.js';

const CAPABILITIES =
	'AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID ' +
	'IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW ' +
	'PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO ' +
	'SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM';
const KNOWN: ReadonlySet<string> = new Set(CAPABILITIES.split(' '));
const ULIMITS = /^(?:core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack)$/;
/** With less, runc and what it starts do not fit themselves. */
const LEAST_MEMORY = 6 * 1024 ** 2;
const UNITS: Readonly<Record<string, number>> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** What the options of the sandbox allow. Throws USAGE for what is no name of a capability, address, number or size. */
export function readLimits(args: SandboxArguments, emit: Emit): Limits {
	return {
		network: readNetwork(args.network, emit),
		addHosts: args.addHosts.map(readHostLine),
		capDrop: [...new Set(args.capDrop.flatMap((list) => list.split(',')).map(readCapability))],
		memory: readMemory(args.memory),
		cpus: readNumber('--cpus', args.cpus, /^\d{1,5}(?:\.\d{1,6})?$|^\.\d{1,6}$/, 'Give a number such as 2 or 1.5.'),
		pids: readNumber('--pids-limit', args.pidsLimit, /^\d{1,7}$/, 'Give a whole number, at least 1.'),
		ulimits: args.ulimits.map(readUlimit),
		seccomp: readSecurityOptions(args.securityOptions, emit),
	};
}

/** `90`, `90s`, `10m`, `1h30m` in ms; undefined for none. Throws USAGE that names `option`. */
export function readDuration(option: string, text: string | undefined): number | undefined {
	if (firstSet(text) === undefined || text === undefined) return undefined;
	const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|$)/g)];
	const seconds = parts.reduce(
		(sum, [, amount, unit]) => sum + Number(amount) * (SECONDS[unit === undefined || unit === '' ? 's' : unit] ?? 0),
		0,
	);
	const ms = Math.round(seconds * 1000);
	if (parts.map(([part]) => part).join('') === text && ms > 0 && ms < 2 ** 31) return ms;
	throw impossible(option, text, 'Give a time such as 90s, 10m or 1h30m.');
}

function readNetwork(text: string | undefined, emit: Emit): Limits['network'] {
	if (text === 'bridge' || text === 'default') {
		const message = `--network ${text} is the host's network here: there is no daemon that has a bridge`;
		emit({ type: 'warning', code: 'NETWORK', message });
		return 'host';
	}
	if (text === undefined || text === '' || text === 'host' || text === 'none') return text === 'none' ? 'none' : 'host';
	throw impossible(
		'--network',
		text,
		'Use host or none: networks and containers with a name belong to a Docker daemon.',
	);
}

function readHostLine(text: string): { readonly name: string; readonly address: string } {
	const at = text.indexOf(':');
	const name = text.slice(0, Math.max(at, 0));
	const address = text.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
	if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(name) && isIP(address) !== 0) return { name, address };
	throw impossible('--add-host', text, 'Give NAME:IP, such as registry.example:10.0.0.7 or six.example:2001:db8::7.');
}

function readCapability(text: string): string {
	const name = text.trim().toUpperCase().replace(/^CAP_/, '');
	if (name === 'ALL') return name;
	if (KNOWN.has(name)) return `CAP_${name}`;
	throw impossible('--cap-drop', text, 'Give names of capabilities(7), such as SETUID,NET_RAW, or all.');
}

function readMemory(text: string | undefined): number | undefined {
	if (text === undefined || text === '') return undefined;
	const match = /^(\d{1,15})(?:([bkmgt])(?:i?b)?)?$/i.exec(text);
	const bytes = Number(match?.[1]) * (UNITS[(match?.[2] ?? 'b').toLowerCase()] ?? 1);
	if (match !== null && bytes >= LEAST_MEMORY && Number.isSafeInteger(bytes)) return bytes;
	throw impossible('--memory', text, 'Give at least 6m, such as 512m or 2g.');
}

function readNumber(option: string, text: string | undefined, form: RegExp, hint: string): number | undefined {
	if (text === undefined || text === '') return undefined;
	if (form.test(text) && Number(text) > 0) return Number(text);
	throw impossible(option, text, hint);
}

function readUlimit(text: string): Limits['ulimits'][number] {
	const [, name = '', soft = '', hard = soft] = /^([a-z]+)=(\d{1,15})(?::(\d{1,15}))?$/.exec(text) ?? [];
	if (ULIMITS.test(name) && Number(soft) <= Number(hard)) return { name, soft: Number(soft), hard: Number(hard) };
	throw impossible('--ulimit', text, 'Give NAME=SOFT[:HARD], such as nofile=1024:4096; soft is at most hard.');
}

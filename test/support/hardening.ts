import { readlinkSync } from 'node:fs';
import { callNumbers } from '../../src/sandbox/call-numbers.js';
import { MASKED_PATHS, READONLY_PATHS } from '../../src/sandbox/kernel-paths.js';
import { DATA, type ProbeCall, probeProgram, readProbe } from './probe-program.js';

/** What one process is given, by the rows of the table. */
export type Hardening = ReadonlyMap<string, string>;

const NAMESPACES = ['user', 'pid', 'ipc', 'uts', 'mnt', 'net', 'cgroup'] as const;
const CAPABILITIES = 41;
const FDS = Array.from({ length: 61 }, (_, index) => index + 3);
const [EPERM, ENOENT, EACCES, ENXIO, ENOSYS] = [1, 2, 13, 6, 38];
/** _LINUX_CAPABILITY_VERSION_3 and no process, with the NUL behind it. */
const CAPABILITY_HEADER = '\u0022\u0005\b \0\0\0';
const [CLONE_NEWNS, CLONE_NEWUSER] = [0x20000, 0x10000000];
const [S_IFIFO, S_IFBLK, SDA] = [0o10600, 0o60600, 0x800];

/** Calls by the words of the table. Those that would change the process itself come last. */
const REFUSABLE: readonly (readonly [row: string, name: string, ...args: ProbeCall['args']])[] = [
	['keyctl', 'keyctl', 0, -3, 0],
	['add_key', 'add_key', 0, 0, 0, 0, 0],
	['request_key', 'request_key', 0, 0, 0, 0],
	['perf_event_open', 'perf_event_open', 0, 0, -1, -1, 0],
	['io_uring_setup', 'io_uring_setup', 0, 0],
	['userfaultfd', 'userfaultfd', -1],
	['bpf', 'bpf', -1, 0, 0],
	['open_by_handle_at', 'open_by_handle_at', -100, 0, 0],
	['socket(AF_VSOCK)', 'socket', 40, 1, 0],
	['socket(AF_ALG)', 'socket', 38, 5, 0],
	['socket(AF_PACKET)', 'socket', 17, 3, 0],
	['raw IP socket', 'socket', 2, 3, 1],
	['setns', 'setns', -1, 0],
	['fsopen', 'fsopen', 0, 0],
	['kexec_load', 'kexec_load', 0, 0, 0, 0],
	['init_module', 'init_module', 0, 0, 0],
	['reboot', 'reboot', 0, 0, 0, 0],
	['swapon', 'swapon', 0, 0],
	['clock_settime', 'clock_settime', 99, 0],
	['syslog', 'syslog', 3, 0, 0],
	['vmsplice', 'vmsplice', -1, 0, 0, 0],
	['personality (no randomisation)', 'personality', 0x40000],
	['mknod of a block device', 'mknod', '/tmp/probe-block', S_IFBLK, SDA],
	['mknod of a FIFO', 'mknod', '/tmp/probe-fifo', S_IFIFO, 0],
	['mount', 'mount', 'none', '/tmp', 'tmpfs', 0, 0],
	['unshare of mounts', 'unshare', CLONE_NEWNS],
	['chroot', 'chroot', '/tmp'],
	['unshare of the user', 'unshare', CLONE_NEWUSER],
];

const numbers = callNumbers('x64');
const call = (name: string, title: string, ...args: ProbeCall['args']): ProbeCall => ({
	name: title,
	nr: numbers.get(name) ?? -1,
	args,
});
const CALLS: readonly ProbeCall[] = [
	call('prctl', 'no_new_privs', 39, 0, 0, 0, 0),
	call('prctl', 'seccomp', 21),
	...Array.from({ length: CAPABILITIES }, (_, index) => call('prctl', `bounding ${index}`, 23, index)),
	...FDS.map((fd) => call('fcntl', `fd ${fd}`, fd, 1)),
	call('open', 'tty', '/dev/tty', 2),
	// capget takes its header and puts three words for each half of the set behind it.
	call('capget', 'capget', CAPABILITY_HEADER, DATA),
	...REFUSABLE.map(([row, name, ...args]) => call(name, row, ...args)),
];

/** Calls that both kinds of user make in a build; all others are better refused. */
export const NEEDED: readonly string[] = ['mknod of a FIFO'];

/** The rows of calls, in their order. */
export const CALL_ROWS: readonly string[] = REFUSABLE.map(([row]) => row);

/** The program that {@link probeScript} runs, from the path in `$probe`. */
export const PROBE: Buffer = probeProgram(CALLS);

const PATHS = [
	...MASKED_PATHS,
	...READONLY_PATHS,
	'/proc/sys/kernel/core_pattern',
	'/sys/kernel/mm/transparent_hugepage/enabled',
];

/** A shell script that prints what {@link readHardening} reads. */
export function probeScript(): string {
	return `
for ns in ${NAMESPACES.join(' ')}; do echo "PROBE ns $ns=$(readlink /proc/self/ns/$ns)"; done
for f in ${PATHS.join(' ')}; do
	[ -e "$f" ] || continue
	if [ -d "$f" ]; then n=$(ls "$f" 2>/dev/null | wc -l); else n=$(head -c 1 "$f" 2>/dev/null | wc -c); fi
	echo "PROBE read $f=$n"
	if [ -f "$f" ] && (: >> "$f") 2>/dev/null; then echo "PROBE write $f=1"; fi
done
for f in /dev/*; do if [ -b "$f" ]; then echo "PROBE block $f=1"; fi; done
echo "PROBE result=$("$probe" | base64 | tr -d '\\n')"
rm -f /tmp/probe-*
`;
}

/** What the script printed, in words that are the same on every machine. */
export function readHardening(output: string): Hardening {
	const lines = [...output.matchAll(/PROBE ([^=\n]+)=(.*)$/gm)].map(
		([, key = '', value = '']) => [key, value] as const,
	);
	const said = new Map(lines);
	const { results, data } = readProbe(Buffer.from(said.get('result') ?? '', 'base64'), CALLS);
	const resultOf = (name: string) => results.get(name) ?? 0;
	const effective = [...Array(CAPABILITIES).keys()].filter(
		(bit) => (data.readUInt32LE(bit < 32 ? 0 : 12) >>> (bit % 32)) & 1,
	);
	const bounding = [...Array(CAPABILITIES).keys()].filter((bit) => resultOf(`bounding ${bit}`) === 1);
	const open = FDS.filter((fd) => resultOf(`fd ${fd}`) >= 0);
	const masked = MASKED_PATHS.filter((path) => (said.get(`read ${path}`) ?? '0') !== '0');
	const written = lines.filter(([key]) => key.startsWith('write ')).map(([key]) => key.slice('write '.length));
	const hasProc = (said.get('ns user') ?? '') !== '';
	return new Map([
		['capabilities', String(effective.length)],
		['bounding set', String(bounding.length)],
		['no_new_privs', resultOf('no_new_privs') === 1 ? 'yes' : 'no'],
		['seccomp filter', resultOf('seccomp') === 2 ? 'yes' : 'no'],
		...NAMESPACES.map((name) => [`${name} namespace`, namespaceOf(name, said.get(`ns ${name}`) ?? '')] as const),
		['masked paths', hasProc ? (masked.length === 0 ? 'masked' : masked.join(' ')) : 'no /proc'],
		['/proc and /sys', written.length > 0 ? written.join(' ') : hasProc ? 'read-only' : 'none'],
		['block devices', lines.some(([key]) => key.startsWith('block ')) ? 'yes' : 'none'],
		['open files', open.length === 0 ? '0-2' : `0-2 ${open.join(' ')}`],
		['terminal', [-ENXIO, -ENOENT].includes(resultOf('tty')) ? 'none' : 'yes'],
		...CALL_ROWS.map((row) => [row, judge(resultOf(row))] as const),
	]);
}

function judge(result: number): string {
	return [-EPERM, -ENOSYS, -EACCES].includes(result) ? 'refused' : 'allowed';
}

function namespaceOf(name: string, inside: string): string {
	if (inside === '') return "job's";
	return inside === readlinkSync(`/proc/self/ns/${name}`) ? "job's" : 'own';
}

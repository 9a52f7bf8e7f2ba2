import type koffi from 'koffi';
import { succeeds, unlessErrno } from '../errors.js';
import { type RawPath, ROOT_DIRECTORY } from '../root-path.js';
import { type Bind, type Native, restrictToRoot, words64 } from './landlock.js';
import { cString } from './libc.js';

type Koffi = typeof koffi;

/** A root filesystem that a process enters for good, and who it is there. */
export interface RootEntry {
	readonly root: RawPath;
	/** Whether `root` is a mount in a mount namespace of the process's own, so that it can take the place of all other mounts. */
	readonly isMount: boolean;
	readonly uid: number;
	readonly gid: number;
	/** Undefined where they cannot be set. */
	readonly groups: readonly number[] | undefined;
	/** Numbers of the capabilities that stay (capabilities(7)); none for a user other than root. */
	readonly capabilities: readonly number[];
}

/** What a process becomes. */
export interface Entry {
	/** Undefined: it stays who and where it is. */
	readonly confinement: RootEntry | undefined;
	/** Inside the root. */
	readonly cwd: string;
	readonly limits: readonly { readonly resource: number; readonly soft: number; readonly hard: number }[];
	/** The descriptor that becomes its standard error; until then, that of this process tells why it did not come to be. */
	readonly stderr: number;
	/** A seccomp filter in classic BPF, base64. */
	readonly filter: string | undefined;
	/** Tried, and kept as it is where that is refused. */
	readonly hostname: string | undefined;
	/** Whether the network namespace is new and its loopback has to be switched on. */
	readonly loopback: boolean;
	readonly argv: readonly [string, ...string[]];
	/** `NAME=VALUE`. */
	readonly env: readonly string[];
}

const PR_SET_PDEATHSIG = 1;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
const BPF_INSTRUCTION_BYTES = 8;
const SIGKILL = 9;
const SIGPIPE = 13;
const LAST_CAPABILITY = 63;
const CAPABILITY_VERSION = 0x20080522;
const SYS_CAPSET: Readonly<Record<string, number>> = { x64: 126, arm64: 91 };
const SYS_PIVOT_ROOT: Readonly<Record<string, number>> = { x64: 155, arm64: 41 };
const MNT_DETACH = 2;
const MS_MOVE = 8192;
const UMASK = 0o022;
const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const F_SETFD = 2;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCSIFFLAGS = 0x8914;
const IFNAMSIZ = 16;
const IFREQ_BYTES = 40;
const IFF_UP = 1;
const FIRST_FD = 3;
const LAST_FD = 0xffffffff;

/**
 * Turns this process into `entry.argv`: root, limits, capabilities, ids, no new privileges, filter, exec. Returns only
 * by throwing an Error that names the call which failed. No descriptor beyond 2 stays open.
 */
export async function enterRoot(entry: Entry): Promise<never> {
	const { default: koffi } = await import('koffi');
	const library = koffi.load(null);
	const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
	const native = (signature: string) => {
		const call = library.func(signature) as (...args: readonly unknown[]) => number | bigint;
		return (...args: readonly unknown[]): number => {
			const result = Number(call(...args));
			if (result >= 0) return result;
			const code = names.get(koffi.errno()) ?? `errno ${koffi.errno()}`;
			throw Object.assign(new Error(`${/(\w+)\(/.exec(signature)?.[1] ?? ''}: ${code}`), { code });
		};
	};
	const prctl = native('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
	const setrlimit = native('int setrlimit(int resource, void *limit)');
	if (entry.hostname !== undefined) setHostname(library, entry.hostname);
	if (entry.loopback) switchOnLoopback(native);
	for (const { resource, soft, hard } of entry.limits) setrlimit(resource, words64(soft, hard));
	const { confinement } = entry;
	if (confinement !== undefined && confinement.root !== ROOT_DIRECTORY) changeRoot(native, confinement);
	native('int chdir(void *path)')(cString(Buffer.from(entry.cwd).toString('latin1')));
	if (confinement !== undefined) become(native, prctl, confinement);
	native('int dup2(int from, int to)')(entry.stderr, 2);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	// What only a changed root directory keeps in, whoever passes it a descriptor could lead out.
	if (confinement !== undefined && confinement.root !== ROOT_DIRECTORY && !confinement.isMount) restrictToRoot(native);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	native('long syscall(long number, unsigned int first, unsigned int last, unsigned int flags)')(
		SYS_CLOSE_RANGE,
		FIRST_FD,
		LAST_FD,
		CLOSE_RANGE_CLOEXEC,
	);
	// Node has its own standard streams closed on exec.
	const fcntl = native('int fcntl(int fd, int command, ...)');
	for (const fd of [0, 1, 2]) fcntl(fd, F_SETFD, 'int', 0);
	library.func('void *signal(int signum, void *handler)')(SIGPIPE, null);
	process.umask(UMASK);
	if (entry.filter !== undefined) setFilter(koffi, native, Buffer.from(entry.filter, 'base64'));
	return execute(native, entry);
}

/**
 * A changed root directory alone can be left by whoever gets a descriptor of a directory outside of it, such as the root of another build,
 * and goes up from there; where the root mount itself is exchanged, or covered for good, there is nothing above it.
 */
function changeRoot(native: Bind, { root, isMount }: RootEntry): void {
	const chroot = native('int chroot(void *path)');
	const [here, top] = [cString('.'), cString('/')];
	if (!isMount) {
		chroot(cString(root));
		return;
	}
	const chdir = native('int chdir(void *path)');
	chdir(cString(root));
	if (isPivoted(native, here)) {
		// What cannot be taken away would still be reached from here: that must fail, and not be tried another way.
		native('int umount2(void *path, int flags)')(here, MNT_DETACH);
	} else {
		const mount = native('int mount(void *source, void *target, void *type, unsigned long flags, void *data)');
		mount(here, top, null, MS_MOVE, null);
		chroot(here);
	}
	chdir(top);
}

/** Some engines forbid pivot_root(2), but not to move a mount over the root, as runc --no-pivot knows. */
function isPivoted(native: Bind, here: Buffer): boolean {
	const pivotRoot = native('long syscall(long number, void *root, void *old)');
	return succeeds(() => pivotRoot(SYS_PIVOT_ROOT[process.arch], here, here));
}

function become(native: Bind, prctl: Native, { uid, gid, groups, capabilities }: RootEntry): void {
	for (let number = 0; number <= LAST_CAPABILITY; number++) {
		// The numbers above the kernel's last capability are refused.
		if (!capabilities.includes(number)) unlessErrno(['EINVAL'], () => prctl(PR_CAPBSET_DROP, number, 0, 0, 0));
	}
	if (groups !== undefined) native('int setgroups(size_t size, void *list)')(groups.length, words32(...groups));
	native('int setresgid(unsigned int real, unsigned int effective, unsigned int saved)')(gid, gid, gid);
	native('int setresuid(unsigned int real, unsigned int effective, unsigned int saved)')(uid, uid, uid);
	setCapabilities(native, uid === 0 ? capabilities : []);
}

function setHostname(library: ReturnType<Koffi['load']>, name: string): void {
	library.func('int sethostname(const char *name, size_t size)')(name, name.length);
}

/** netdevice(7): struct ifreq is a name of 16 bytes and, here, flags. */
function switchOnLoopback(native: Bind): void {
	const request = Buffer.alloc(IFREQ_BYTES);
	request.write('lo');
	request.writeUInt16LE(IFF_UP, IFNAMSIZ);
	const fd = native('int socket(int domain, int type, int protocol)')(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	native('int ioctl(int fd, unsigned long request, ...)')(fd, SIOCSIFFLAGS, 'void *', request);
}

/** struct sock_fprog holds a pointer, so koffi lays it out. */
function setFilter(koffi: Koffi, native: Bind, program: Buffer): void {
	koffi.struct('sock_fprog', { len: 'unsigned short', filter: 'void *' });
	const prctl = native('int prctl(int option, unsigned long mode, sock_fprog *program)');
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, { len: program.length / BPF_INSTRUCTION_BYTES, filter: program });
}

function setCapabilities(native: Bind, capabilities: readonly number[]): void {
	const number = SYS_CAPSET[process.arch];
	if (number === undefined) throw new Error(`capset: unknown on ${process.arch}`);
	const [low, high] = [0, 32].map((first) =>
		capabilities.reduce(
			(bits, each) => (each >= first && each < first + 32 ? (bits | (1 << (each - first))) >>> 0 : bits),
			0,
		),
	) as [number, number];
	const capset = native('long syscall(long number, void *header, void *data)');
	capset(number, words32(CAPABILITY_VERSION, 0), words32(low, low, 0, high, high, 0));
}

function execute(native: Bind, { argv, env }: Entry): never {
	const execve = native('int execve(void *path, const char **argv, const char **env)');
	const path = env.find((variable) => variable.startsWith('PATH='))?.slice('PATH='.length) ?? '';
	const [program] = argv;
	const candidates = program.includes('/')
		? [program]
		: path.split(':').map((directory) => `${directory || '.'}/${program}`);
	let failure: unknown = new Error(`${program} is not in PATH`);
	for (const candidate of candidates) {
		try {
			execve(cString(Buffer.from(candidate).toString('latin1')), [...argv, null], [...env, null]);
		} catch (error) {
			failure = error;
			if (!['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as { code?: string }).code ?? '')) break;
		}
	}
	throw failure;
}

function words32(...numbers: readonly number[]): Buffer {
	return Buffer.from(Uint32Array.from(numbers).buffer);
}

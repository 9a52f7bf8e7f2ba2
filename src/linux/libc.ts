import { closeSync } from 'node:fs';
import { attempt, errnoOf, succeeds } from '../errors.js';
import type { RawPath } from '../root-path.js';
import { type Bind, type LandlockReach, landlockReach, type Native } from './landlock.js';

/** The system calls that Node lacks. Each throws an Error whose `code` is the errno's name. Paths are raw bytes. */
export interface Libc {
	readonly mount: (source: RawPath, target: RawPath, type: string, flags: number, data: string) => void;
	/** MNT_DETACH, and never through a symlink. */
	readonly unmount: (target: RawPath) => void;
	/** `mode` holds the type bits too; `device`, major and minor number together, is 0 for whiteouts and FIFOs. */
	readonly mknod: (path: RawPath, mode: number, device?: number) => void;
	/** Sets an extended attribute of `path` itself, not of what it points to. */
	readonly setXattr: (path: RawPath, name: string, value: Uint8Array) => void;
	/** The extended attributes of `path` itself; empty where the file system has none. */
	readonly listXattrs: (path: RawPath) => ReadonlyMap<string, Buffer>;
	/** The extended attributes of an open file. */
	readonly listOpenXattrs: (fd: number) => ReadonlyMap<string, Buffer>;
	/** Opens `path`, below the directory `from` and through no link (openat2(2)). Throws EXDEV, ELOOP; ENOSYS or EPERM where that is missing. */
	readonly openBeneath: (from: number, path: RawPath, flags: number) => number;
	/** Makes an open directory the working directory of this process and all its threads (fchdir(2)); `process.cwd` does not notice. */
	readonly standIn: (directory: number) => void;
	/** Where the next data (`SEEK_DATA`) or hole (`SEEK_HOLE`) of an open file is, from `offset` on; the end of the file when none is. */
	readonly seek: (fd: number, offset: number, what: 'data' | 'hole', size: number) => number;
	/** Takes an exclusive lock without waiting; false when somebody holds it. */
	readonly tryLock: (fd: number) => boolean;
	/** Sets attributes of an open file or directory besides those that it has (FS_IOC_SETFLAGS). */
	readonly addFileFlags: (fd: number, flags: number) => void;
	/** Keeps every open descriptor from `first` on from programs that are started later. */
	readonly closeOnExec: (first: number) => void;
	/** Has this process killed when its parent dies. An exec that gains capabilities, as the worker's does, undoes it. */
	readonly dieWithParent: () => void;
	/** A connection to the unix socket `path`. It blocks, but a read ends with EAGAIN after `timeout` ms, so that a thread can end. */
	readonly connect: (path: RawPath, timeout: number) => number;
	/** Has orphans among this process's descendants come back to it rather than to the init of its container. */
	readonly adoptOrphans: () => void;
	/** Leaves the session keyring of whoever started us (keyrings(7)) for an empty one, where that is allowed. */
	readonly leaveKeyring: () => void;
	/** What of the job a process in a changed root directory can be kept from (landlock(7)). */
	readonly landlockReach: () => LandlockReach;
	/** A pipe that children inherit only when it is passed to them, and that holds 1 MiB where the host allows that. */
	readonly pipe: () => { readonly read: number; readonly write: number };
}

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_REC = 16384;

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const LAST_FD = 0xffffffff;
const SYS_CLOSE_RANGE = 436;
const SYS_OPENAT2 = 437;
const RESOLVE_NO_SYMLINKS = 4;
const RESOLVE_BENEATH = 8;
const CLOSE_RANGE_CLOEXEC = 4;
const PR_SET_PDEATHSIG = 1;
const PR_SET_CHILD_SUBREAPER = 36;
const SYS_KEYCTL: Readonly<Record<string, number>> = { x64: 250, arm64: 219 };
const KEYCTL_JOIN_SESSION_KEYRING = 1;
const SIGKILL = 9;
const LOCK_EX = 2;
const LOCK_NB = 4;
const O_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const XATTR_LIST_MAX = 65536;
const PATH_MAX = 4096;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
/** Their argument is an int, whatever the numbers say. */
const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const F_SETPIPE_SZ = 1031;
const PIPE_BYTES = 1 << 20;

/** How functions of the C library are found. */
interface Binding {
	/** One that throws when it fails. */
	readonly native: Bind;
	/** One that is called for every file, so its negative results stay what they are. */
	readonly bare: Bind;
}

let loaded: Promise<Libc | undefined> | undefined;

/** The C library through koffi, loaded once; undefined where koffi has no binary for this platform. */
export function loadLibc(): Promise<Libc | undefined> {
	loaded ??= bind().catch(() => undefined);
	return loaded;
}

async function bind(): Promise<Libc> {
	const { default: koffi } = await import('koffi');
	const library = koffi.load(null);
	const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
	const bare = (signature: string): Native => library.func(signature) as Native;
	const native = (signature: string): Native => {
		const call = library.func(signature) as (...args: readonly unknown[]) => number | bigint;
		return (...args) => {
			const result = Number(call(...args));
			if (result >= 0) return result;
			const code = names.get(koffi.errno()) ?? `errno ${koffi.errno()}`;
			throw Object.assign(new Error(`${code}: ${/(\w+)\(/.exec(signature)?.[1] ?? ''}`), { code });
		};
	};
	return libcOf({ native, bare });
}

function libcOf({ native, bare }: Binding): Libc {
	const mount = native('int mount(void *source, void *target, void *type, unsigned long flags, void *data)');
	const umount = native('int umount2(void *target, int flags)');
	const mknod = native('int mknod(void *path, unsigned int mode, unsigned long device)');
	const flock = native('int flock(int fd, int operation)');
	const closeRange = native('long syscall(long number, unsigned int first, unsigned int last, unsigned int flags)');
	const prctl = native('int prctl(int option, unsigned long argument)');
	// Containers forbid it; then their keyring is the container's own.
	const keyctl = bare('long syscall(long number, int operation, void *name)');
	const ioctl = native('int ioctl(int fd, unsigned long request, void *argument)');
	const lseek = native('int64_t lseek(int fd, int64_t offset, int whence)');
	return {
		mount: (source, target, type, flags, data) =>
			void mount(cString(source), cString(target), cString(type), flags, cString(data)),
		unmount: (target) => void umount(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW),
		mknod: (path, mode, device = 0) => void mknod(cString(path), mode, device),
		...xattrCalls({ native, bare }),
		openBeneath: openBeneathCall(native),
		standIn: native('int fchdir(int fd)'),
		connect: connectCall(native),
		seek: (fd, offset, what, size) => {
			try {
				return Math.min(lseek(fd, offset, what === 'data' ? SEEK_DATA : SEEK_HOLE), size);
			} catch (error) {
				// Only ENXIO means that nothing but a hole follows; a file system that does not know holes has none.
				return what === 'hole' || errnoOf(error) === 'ENXIO' ? size : offset;
			}
		},
		tryLock: (fd) => succeeds(() => flock(fd, LOCK_EX | LOCK_NB)),
		addFileFlags: (fd, flags) => {
			const present = new Int32Array(2);
			ioctl(fd, FS_IOC_GETFLAGS, present);
			ioctl(fd, FS_IOC_SETFLAGS, Int32Array.of((present[0] ?? 0) | flags, 0));
		},
		closeOnExec: (first) => void closeRange(SYS_CLOSE_RANGE, first, LAST_FD, CLOSE_RANGE_CLOEXEC),
		adoptOrphans: () => void prctl(PR_SET_CHILD_SUBREAPER, 1),
		leaveKeyring: () => void keyctl(SYS_KEYCTL[process.arch] ?? -1, KEYCTL_JOIN_SESSION_KEYRING, null),
		landlockReach: () => landlockReach(native),
		dieWithParent: () => void prctl(PR_SET_PDEATHSIG, SIGKILL),
		pipe: pipeCall(native),
	};
}

function xattrCalls({ native, bare }: Binding): Pick<Libc, 'setXattr' | 'listXattrs' | 'listOpenXattrs'> {
	const set = native('int lsetxattr(void *path, void *name, void *value, size_t size, int flags)');
	const get = bare('intptr_t lgetxattr(void *path, void *name, void *value, size_t size)');
	const list = bare('intptr_t llistxattr(void *path, void *list, size_t size)');
	const getOpen = bare('intptr_t fgetxattr(int fd, void *name, void *value, size_t size)');
	const listOpen = bare('intptr_t flistxattr(int fd, void *list, size_t size)');
	const buffer = Buffer.alloc(XATTR_LIST_MAX);
	const pathBuffer = Buffer.alloc(PATH_MAX);
	const shared = (path: RawPath): Buffer => {
		if (path.length >= PATH_MAX) return cString(path);
		pathBuffer[pathBuffer.write(path, 'latin1')] = 0;
		return pathBuffer;
	};
	/** What is listed may yet be refused: file capabilities of another user namespace are (EOVERFLOW), and attributes that went (ENODATA). */
	const read = (file: Buffer | number, listOf: Native, getOf: Native): ReadonlyMap<string, Buffer> => {
		// Most files have none, and asking for the size alone spares the kernel an allocation.
		if (listOf(file, null, 0) <= 0) return NO_XATTRS;
		const size = listOf(file, buffer, buffer.length);
		const names = size <= 0 ? [] : buffer.toString('latin1', 0, size).split('\0').filter(Boolean);
		return new Map(
			names.flatMap((name): [string, Buffer][] => {
				const length = getOf(file, cString(name), buffer, buffer.length);
				return length < 0 ? [] : [[name, Buffer.from(buffer.subarray(0, length))]];
			}),
		);
	};
	return {
		setXattr: (path, name, value) => void set(cString(path), cString(name), value, value.length, 0),
		listXattrs: (path) => read(shared(path), list, get),
		listOpenXattrs: (fd) => read(fd, listOpen, getOpen),
	};
}

/** Called for every directory of a walk, so what it needs is made once. */
function openBeneathCall(native: Bind): Libc['openBeneath'] {
	const openat2 = native('long syscall(long number, int from, void *path, void *how, size_t size)');
	const how = new BigUint64Array([0n, 0n, BigInt(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)]);
	return (from, path, flags) => {
		how[0] = BigInt(flags | O_CLOEXEC);
		return openat2(SYS_OPENAT2, from, cString(path), how, how.byteLength);
	};
}

function connectCall(native: Bind): Libc['connect'] {
	const socket = native('int socket(int domain, int type, int protocol)');
	const connect = native('int connect(int fd, void *address, unsigned int size)');
	const setOption = native('int setsockopt(int fd, int level, int name, void *value, unsigned int size)');
	return (path, timeout) => {
		const address = Buffer.concat([new Uint8Array(Uint16Array.of(AF_UNIX).buffer), cString(path)]);
		const time = BigInt64Array.of(BigInt(Math.floor(timeout / 1000)), BigInt((timeout % 1000) * 1000));
		const fd = socket(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0);
		try {
			setOption(fd, SOL_SOCKET, SO_RCVTIMEO, time, time.byteLength);
			connect(fd, address, address.length);
			return fd;
		} catch (error) {
			closeSync(fd);
			throw error;
		}
	};
}

function pipeCall(native: Bind): Libc['pipe'] {
	const pipe2 = native('int pipe2(_Out_ int *fds, int flags)');
	const fcntl = native('int fcntl(int fd, int command, ...)');
	return () => {
		const fds: [number, number] = [-1, -1];
		pipe2(fds, O_CLOEXEC);
		// A user's pipes may be many, or the limit low; the default size does.
		attempt(() => fcntl(fds[1], F_SETPIPE_SZ, 'int', PIPE_BYTES));
		return { read: fds[0], write: fds[1] };
	};
}

/** `text`, raw bytes, as a C library takes it. */
export function cString(text: string): Buffer {
	return Buffer.from(`${text}\0`, 'latin1');
}

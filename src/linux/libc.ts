import type { RawPath } from '../root-path.js';

/** The system calls that Node lacks. Each throws an Error whose `code` is the errno's name. Paths are raw bytes. */
export interface Libc {
	readonly mount: (source: string, target: RawPath, type: string, flags: number, data: string) => void;
	/** MNT_DETACH, and never through a symlink. */
	readonly unmount: (target: RawPath) => void;
	/** `mode` holds the type bits too; `device` is 0 for whiteouts and FIFOs. */
	readonly mknod: (path: RawPath, mode: number) => void;
	/** Sets an extended attribute of `path` itself, not of what it points to. */
	readonly setXattr: (path: RawPath, name: string, value: Uint8Array) => void;
	/** The extended attributes of `path` itself; empty where the file system has none. */
	readonly listXattrs: (path: RawPath) => ReadonlyMap<string, Buffer>;
	/** Takes an exclusive lock without waiting; false when somebody holds it. */
	readonly tryLock: (fd: number) => boolean;
	/** Keeps every open descriptor from `first` on from programs that are started later. */
	readonly closeOnExec: (first: number) => void;
	/** Has this process killed when its parent dies. An exec that gains capabilities, as the worker's does, undoes it. */
	readonly dieWithParent: () => void;
	/** A pipe that children inherit only when it is passed to them. */
	readonly pipe: () => { readonly read: number; readonly write: number };
}

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const LAST_FD = 0xffffffff;
const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const LOCK_EX = 2;
const LOCK_NB = 4;
const O_CLOEXEC = 0o2000000;
const XATTR_LIST_MAX = 65536;

type Native = (...args: readonly unknown[]) => number;

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
	const native = (signature: string): Native => {
		const call = library.func(signature) as (...args: readonly unknown[]) => number | bigint;
		return (...args) => {
			const result = Number(call(...args));
			if (result >= 0) return result;
			const code = names.get(koffi.errno()) ?? `errno ${koffi.errno()}`;
			throw Object.assign(new Error(`${code}: ${/(\w+)\(/.exec(signature)?.[1] ?? ''}`), { code });
		};
	};
	return libcOf(native);
}

function libcOf(native: (signature: string) => Native): Libc {
	const mount = native('int mount(void *source, void *target, void *type, unsigned long flags, void *data)');
	const umount = native('int umount2(void *target, int flags)');
	const mknod = native('int mknod(void *path, unsigned int mode, unsigned long device)');
	const flock = native('int flock(int fd, int operation)');
	const closeRange = native('long syscall(long number, unsigned int first, unsigned int last, unsigned int flags)');
	const prctl = native('int prctl(int option, unsigned long argument)');
	const pipe2 = native('int pipe2(_Out_ int *fds, int flags)');
	return {
		mount: (source, target, type, flags, data) =>
			void mount(cString(source), cString(target), cString(type), flags, cString(data)),
		unmount: (target) => void umount(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW),
		mknod: (path, mode) => void mknod(cString(path), mode, 0),
		...xattrCalls(native),
		tryLock: (fd) => {
			try {
				flock(fd, LOCK_EX | LOCK_NB);
				return true;
			} catch {
				return false;
			}
		},
		closeOnExec: (first) => void closeRange(SYS_CLOSE_RANGE, first, LAST_FD, CLOSE_RANGE_CLOEXEC),
		dieWithParent: () => void prctl(PR_SET_PDEATHSIG, SIGKILL),
		pipe: () => {
			const fds: [number, number] = [-1, -1];
			pipe2(fds, O_CLOEXEC);
			return { read: fds[0], write: fds[1] };
		},
	};
}

function xattrCalls(native: (signature: string) => Native): Pick<Libc, 'setXattr' | 'listXattrs'> {
	const set = native('int lsetxattr(void *path, void *name, void *value, size_t size, int flags)');
	const get = native('intptr_t lgetxattr(void *path, void *name, void *value, size_t size)');
	const list = native('intptr_t llistxattr(void *path, void *list, size_t size)');
	const buffer = Buffer.alloc(XATTR_LIST_MAX);
	const names = (path: Buffer): readonly string[] => {
		try {
			const size = list(path, buffer, buffer.length);
			return buffer.toString('latin1', 0, size).split('\0').filter(Boolean);
		} catch {
			return [];
		}
	};
	return {
		setXattr: (path, name, value) => void set(cString(path), cString(name), value, value.length, 0),
		listXattrs: (path) => {
			const raw = cString(path);
			const found = new Map<string, Buffer>();
			for (const name of names(raw)) {
				const size = get(raw, cString(name), buffer, buffer.length);
				found.set(name, Buffer.from(buffer.subarray(0, size)));
			}
			return found;
		},
	};
}

function cString(text: string): Buffer {
	return Buffer.from(`${text}\0`, 'latin1');
}

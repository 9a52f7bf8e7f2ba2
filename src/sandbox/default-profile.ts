import { callNumbers } from './call-numbers.js';
import type { Comparison, Profile, ProfileRule } from './profile.js';

const [EPERM, EINVAL, ENOSYS] = [1, 22, 38];

const ALLOWED = `
	_llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind breakpoint brk
	cacheflush cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64
	clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3
	epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve
	execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown
	fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs
	fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list
	get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32
	getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit
	getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init
	inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit ioctl ioprio_get ioprio_set ipc kill
	landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr
	listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret
	mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open
	mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync
	munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
	pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv
	process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom
	recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq
	rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
	rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
	sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
	seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list
	set_thread_area set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer
	setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt
	setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn
	socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range sync_file_range2
	syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
	timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64
	ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork wait4 waitid waitpid write writev
`;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NAMESPACES = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000] as const;
const ALL_NAMESPACES = 0x7e020000;
/** PER_LINUX, PER_LINUX32, UNAME26 with each of them, and the question which it is. */
const PERSONALITIES = [0, 8, 0x20000, 0x20008, 0xffffffff] as const;
const [AF_NETLINK, NETLINK_AUDIT, AF_ALG, AF_VSOCK] = [16, 9, 38, 40];
/** The families above AF_NETLINK but for AF_ALG and AF_VSOCK, as numbers under masks: a rule cannot have two conditions on one argument. */
const FAMILIES: readonly (readonly [mask: number, family: number])[] = [
	...([
		[~0, 17],
		[~1, 18],
		[~3, 20],
		[~7, 24],
		[~3, 32],
		[~1, 36],
		[~0, 39],
		[~0, 41],
		[~1, 42],
		[~1, 44],
	] as const),
];
/** The last call of Linux 5.11, which is the oldest that we run on. */
const LAST_OLD_CALL = 441;

const equal = (index: number, value: number): Comparison => ({ index, value, op: 'SCMP_CMP_EQ' });
const masked = (mask: number, value: number): Comparison => ({
	index: 0,
	value: mask >>> 0,
	valueTwo: value,
	op: 'SCMP_CMP_MASKED_EQ',
});
const allow = (name: string, args: readonly Comparison[]): ProfileRule => ({
	names: [name],
	action: 'SCMP_ACT_ALLOW',
	args,
});
const refuse = (names: readonly string[], errnoRet: number, args: readonly Comparison[] = []): ProfileRule => ({
	names,
	action: 'SCMP_ACT_ERRNO',
	errnoRet,
	args,
});

const SOCKETS: readonly ProfileRule[] = [
	allow('socket', [{ index: 0, value: AF_NETLINK, op: 'SCMP_CMP_LT' }]),
	allow('socket', [equal(0, AF_NETLINK), { index: 2, value: NETLINK_AUDIT, op: 'SCMP_CMP_NE' }]),
	// libaudit takes this for a kernel without auditing; what else it meets ends useradd(8) of a root without CAP_AUDIT_WRITE.
	refuse(['socket'], EINVAL, [equal(0, AF_NETLINK), equal(2, NETLINK_AUDIT)]),
	...FAMILIES.map(([mask, family]) => allow('socket', [masked(mask, family)])),
	...[AF_ALG, AF_VSOCK].map((family) => refuse(['socket'], EPERM, [equal(0, family)])),
];

const CONDITIONAL: readonly ProfileRule[] = [
	...SOCKETS,
	allow('clone', [masked(ALL_NAMESPACES, 0)]),
	...NAMESPACES.map((flag) => refuse(['clone'], EPERM, [masked(flag, flag)])),
	// Its flags are in memory, where no filter can look.
	refuse(['clone3'], ENOSYS),
	...PERSONALITIES.map((value) => allow('personality', [equal(0, value)])),
	{ names: ['chroot'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_CHROOT'] } },
	{ ...refuse(['chroot'], EPERM), excludes: { caps: ['CAP_SYS_CHROOT'] } },
];

/**
 * What a sandboxed process may call: what the default profiles of Docker (moby/profiles of 2026) and Podman (containers/common 0.50) both
 * allow a container without CAP_SYS_ADMIN and the like, and the newer calls of the former. All other calls that Linux 5.11 has are EPERM, and what came
 * later is ENOSYS, after which a C library does without it.
 */
export const DEFAULT_PROFILE: Profile = makeProfile();

function makeProfile(): Profile {
	const allowed = ALLOWED.trim().split(/\s+/);
	const judged = new Set([...allowed, ...CONDITIONAL.flatMap(({ names }) => names)]);
	const known = (['x64', 'x86', 'arm64', 'arm'] as const).flatMap((set) => [...callNumbers(set)]);
	const old = known.filter(([, number]) => number <= LAST_OLD_CALL).map(([name]) => name);
	return {
		defaultAction: 'SCMP_ACT_ERRNO',
		defaultErrnoRet: ENOSYS,
		syscalls: [
			{ names: allowed, action: 'SCMP_ACT_ALLOW' },
			...CONDITIONAL,
			refuse([...new Set(old)].filter((name) => !judged.has(name)).sort(), EPERM),
		],
	};
}

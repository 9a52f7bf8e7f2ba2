/** A system call that no sandboxed process may make. */
export interface DeniedCall {
	readonly name: string;
	/** Its numbers on x86_64, aarch64, i386 and ARM EABI (asm/unistd.h of each). */
	readonly numbers: readonly [number, number, number, number];
	/** `always` is EPERM; `unknown` is ENOSYS, after which programs use an older call; else EPERM when the flags ask for it. */
	readonly when: 'always' | 'unknown' | 'new user namespace';
}

export const CLONE_NEWUSER = 0x10000000;

const call = (name: string, numbers: DeniedCall['numbers'], when: DeniedCall['when'] = 'always'): DeniedCall => ({
	name,
	numbers,
	when,
});

/**
 * What Docker's and Podman's default profiles forbid too, and what reaches beyond a namespace: keyrings are those of the kernel's user, a new
 * user namespace opens much of the kernel to its root, and the others have been ways out of containers.
 */
export const DENIED: readonly DeniedCall[] = [
	call('add_key', [248, 217, 286, 309]),
	call('request_key', [249, 218, 287, 310]),
	call('keyctl', [250, 219, 288, 311]),
	call('bpf', [321, 280, 357, 386]),
	call('perf_event_open', [298, 241, 336, 364]),
	call('userfaultfd', [323, 282, 374, 388]),
	call('open_by_handle_at', [304, 265, 342, 371]),
	call('io_uring_setup', [425, 425, 425, 425]),
	call('io_uring_enter', [426, 426, 426, 426]),
	call('io_uring_register', [427, 427, 427, 427]),
	call('unshare', [272, 97, 310, 337], 'new user namespace'),
	call('clone', [56, 220, 120, 120], 'new user namespace'),
	// Its flags are in memory, where a filter cannot look.
	call('clone3', [435, 435, 435, 435], 'unknown'),
];

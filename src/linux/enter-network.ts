const CLONE_NEWNET = 0x40000000;

/** Moves the calling thread into the network namespace that is open as `fd` (setns(2)). Throws an Error where that is refused. */
export async function enterNetwork(fd: number): Promise<void> {
	const { default: koffi } = await import('koffi');
	const setns = koffi.load(null).func('int setns(int fd, int type)') as (fd: number, type: number) => number;
	if (setns(fd, CLONE_NEWNET) !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
}

import { BuildError } from '../errors.js';
import { rawPath } from '../root-path.js';
import { resolveInRoot } from '../rootfs/resolve-in-root.js';
import { isKernels } from '../sandbox/kernel-paths.js';

const MAX_BYTES = 1 << 20;

/**
 * Refuses a root filesystem whose /etc/passwd or /etc/group is more than a file of 1 MiB: runc reads both whole, whatever they are, so that a
 * FIFO stops it for ever and a device has it take all memory (CVE-2026-47262). Throws IMAGE_UNSUPPORTED.
 */
export function checkUserFiles(rootfs: string): void {
	for (const file of ['/etc/passwd', '/etc/group']) {
		const { path, stats } = resolveInRoot(rawPath(rootfs), rawPath(file));
		// What is in the kernel's directories is there only once they are mounted.
		const isFile = stats === undefined ? !isKernels(path) : stats.isFile() && stats.size <= MAX_BYTES;
		if (isFile) continue;
		throw new BuildError('IMAGE_UNSUPPORTED', `${file} of the image is not a regular file of at most 1 MiB`, {
			hint: 'No honest image has that. Do not use it before you know who made it.',
		});
	}
}

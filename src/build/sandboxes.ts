import type { SandboxName } from '../sandbox/sandbox.js';
import type { WorkerProcess } from '../worker/start.js';
import type { HostRequest } from './request.js';

/**
 * The sandboxes to try, best first. With a single id only bwrap can show the assemble user as such; the OCI runtimes insist on a root
 * and come last. Without mounts, a changed root directory is all there is, and in place nothing.
 */
export function sandboxesOf(
	isolation: HostRequest['isolation'],
	{ userNamespace, mounts, rootfs }: Pick<WorkerProcess, 'userNamespace' | 'mounts' | 'rootfs'>,
): readonly SandboxName[] {
	if (rootfs === 'in-place') return ['none'];
	if (isolation !== 'auto') return [isolation];
	if (!mounts) return ['chroot'];
	return userNamespace === 'single' ? ['bwrap', 'runc', 'crun'] : ['runc', 'crun', 'bwrap'];
}

import type { Proc, SandboxName } from '../sandbox/sandbox.js';

/** A worker, as far as it decides which sandboxes can run in it. */
export interface SandboxPlace {
	readonly userNamespace: 'none' | 'full' | 'single';
	readonly mounts: boolean;
	readonly rootfs: 'overlay' | 'copy' | 'in-place';
	readonly proc: Proc;
}

/**
 * The sandboxes to try as `isolation` wants it, best first. All but a changed root directory take a /proc of their own. With a single
 * id the OCI runtimes show the assemble user as root, and come last. Without mounts, a changed root directory is all there is, and in place nothing.
 */
export function orderSandboxes(isolation: SandboxName | 'auto', place: SandboxPlace): readonly SandboxName[] {
	const possible = possibleSandboxes(place);
	return isolation === 'auto' ? possible : possible.filter((name) => name === isolation);
}

function possibleSandboxes({ userNamespace, mounts, rootfs, proc }: SandboxPlace): readonly SandboxName[] {
	if (rootfs === 'in-place') return ['none'];
	if (!mounts) return ['chroot'];
	if (proc === 'job') return ['chroot'];
	return userNamespace === 'single' ? ['bwrap', 'chroot', 'runc', 'crun'] : ['runc', 'crun', 'bwrap', 'chroot'];
}

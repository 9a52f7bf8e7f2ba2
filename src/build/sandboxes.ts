import type { SandboxName } from '../sandbox/sandbox.js';
import type { HostRequest } from './request.js';

/**
 * The sandboxes to try, best first. With a single id only bwrap can show the assemble user as such; the OCI runtimes insist on a root
 * and come last.
 */
export function sandboxesOf(
	isolation: HostRequest['isolation'],
	userNamespace: 'none' | 'full' | 'single',
): readonly SandboxName[] {
	if (isolation !== 'auto') return [isolation];
	return userNamespace === 'single' ? ['bwrap', 'runc', 'crun'] : ['runc', 'crun', 'bwrap'];
}

import { BuildError } from '../errors.js';
import type { SandboxName } from '../sandbox/sandbox.js';

/** A sandbox that could not be used, and why. */
export interface Refused {
	readonly sandbox: SandboxName;
	readonly reason: string;
}

/** HOST_NO_SANDBOX with why each was refused. */
export function noSandbox(refused: readonly Refused[]): BuildError {
	const reasons = refused.map(
		({ sandbox, reason }) => `${sandbox}: ${reason.replace(new RegExp(`^${sandbox}:? ?`), '')}`,
	);
	return new BuildError('HOST_NO_SANDBOX', `no sandbox could be started (${reasons.join('; ')})`, {
		hint: refused.every(({ reason }) => reason.includes('is not installed')) ? INSTALL : FORBIDDEN,
	});
}

const INSTALL =
	'Install bubblewrap or runc (Debian, Ubuntu: apt-get install bubblewrap runc; Fedora, RHEL: dnf install bubblewrap runc), ' +
	'or leave out --isolation.';
const FORBIDDEN =
	'Something here forbids what they do, such as a seccomp filter: s2oci doctor says what, and what would help.';

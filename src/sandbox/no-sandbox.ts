import { BuildError } from '../errors.js';
import type { SandboxName } from './sandboxes.js';

/** A sandbox that could not be used, and why. */
export interface Refused {
	readonly sandbox: SandboxName;
	readonly reason: string;
}

/** Why it was refused; programs begin with their own names. */
export function withoutName({ sandbox, reason }: Refused): string {
	return reason.replace(new RegExp(`^${sandbox}:? ?`), '');
}

/** HOST_NO_SANDBOX with why each was refused. */
export function noSandbox(refused: readonly Refused[]): BuildError {
	const reasons = refused.map((each) => `${each.sandbox}: ${withoutName(each)}`);
	return new BuildError('HOST_NO_SANDBOX', `no sandbox could be started (${reasons.join('; ')})`, {
		hint: hintFor(refused.map(({ reason }) => reason)),
	});
}

/** Why nothing of an image that is copied can be run. */
export const NOEXEC_STORE = 'the store, to which the image is copied, is mounted noexec';

function hintFor(reasons: readonly string[]): string {
	if (reasons.includes(NOEXEC_STORE)) return 'Name a directory on another file system with --store DIR or S2OCI_STORE.';
	return reasons.every((reason) => reason.includes('is not installed')) ? INSTALL : FORBIDDEN;
}

const INSTALL =
	'Install bubblewrap or runc (Debian, Ubuntu: apt-get install bubblewrap runc; Fedora, RHEL: dnf install bubblewrap runc), ' +
	'or leave out --isolation.';
const FORBIDDEN =
	'Something here forbids what they do, such as a seccomp filter: s2oci doctor says what, and what would help.';

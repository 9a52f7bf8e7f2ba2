import { type ErrorCode, isBuildError } from '../errors.js';
import type { ProgramName } from './words.js';

/** The exit status for each signal that ends a command; its name is the cause of INTERRUPTED. */
export const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** The exit status for each error code, documented in docs/errors.md. INTERRUPTED has those of {@link SIGNAL_STATUS}. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
	ASSEMBLE_FAILED: 1,
	ASSEMBLE_SURVIVED: 1,
	ASSEMBLE_NOT_REPRODUCIBLE: 1,
	SCRIPT_MISSING: 1,
	SCRIPT_INVALID: 1,
	USAGE: 2,
	REFERENCE_INVALID: 2,
	REGISTRY_UNREACHABLE: 3,
	REGISTRY_UNAUTHORIZED: 3,
	REGISTRY_DENIED: 3,
	REGISTRY_NOT_FOUND: 3,
	REGISTRY_LIMITED: 3,
	REGISTRY_REFUSED: 3,
	CREDENTIALS_INVALID: 3,
	HTTP_FAILED: 3,
	HTTP_NOT_FOUND: 3,
	ENGINE_UNAVAILABLE: 3,
	ENGINE_FAILED: 3,
	ENGINE_NO_IMAGE: 3,
	IMAGE_INVALID: 3,
	IMAGE_UNSUPPORTED: 3,
	IMAGE_PLATFORM: 3,
	IMAGE_USER_NOT_ALLOWED: 3,
	DIGEST_MISMATCH: 3,
	LAYER_INVALID: 3,
	LAYER_UNSAFE: 3,
	OUTPUT_FAILED: 3,
	HOST_NO_NAMESPACES: 4,
	HOST_NO_OVERLAY: 4,
	HOST_NO_SANDBOX: 4,
	HOST_NOT_BUILDER: 4,
	HOST_IN_PLACE: 4,
	HOST_NO_SPACE: 4,
	HOST_LIMIT: 4,
	HOST_STORE: 4,
	HOST_WORKER: 4,
	SOURCE_NOT_FOUND: 5,
	SOURCE_INVALID: 5,
	SOURCE_GIT: 5,
	SOURCE_EMPTY: 5,
	FLEET_FAILED: 6,
	BEFORE_PUSH_FAILED: 7,
	INTERRUPTED: 130,
};

/** The exit status for each verdict of `s2oci compare`, documented in docs/errors.md. */
export const COMPARISON_STATUS = { same: 0, differs: 8, 'cannot tell': 9 } as const;

/** The exit status of a bug: whatever was thrown and is no BuildError (EX_SOFTWARE of sysexits.h). */
const BUG = 70;

/**
 * The exit status under the names `s2i` and `sti`: the code of S2I's error class (pkg/errors/errors.go) where it ends with that, and what a
 * signal ends it with (pkg/docker/docker.go). All other codes end with 1 there. Documented in docs/s2i-compatibility.md.
 */
export const S2I_EXIT_CODES: Readonly<Partial<Record<ErrorCode, number>>> = {
	REGISTRY_UNREACHABLE: 2,
	REGISTRY_UNAUTHORIZED: 2,
	REGISTRY_DENIED: 2,
	REGISTRY_NOT_FOUND: 2,
	REGISTRY_LIMITED: 2,
	REGISTRY_REFUSED: 2,
	CREDENTIALS_INVALID: 2,
	IMAGE_PLATFORM: 2,
	DIGEST_MISMATCH: 2,
	LAYER_INVALID: 2,
	LAYER_UNSAFE: 2,
	INTERRUPTED: 2,
	HOST_STORE: 5,
	OUTPUT_FAILED: 6,
	SCRIPT_MISSING: 11,
	IMAGE_USER_NOT_ALLOWED: 15,
	SOURCE_EMPTY: 16,
};

/** The exit status for a thrown value, under the name by which the program was called. */
export function exitCodeOf(error: unknown, program: ProgramName = 's2oci'): number {
	if (!isBuildError(error)) return BUG;
	if (program !== 's2oci') return S2I_EXIT_CODES[error.code] ?? 1;
	return (error.code === 'INTERRUPTED' ? statusOfSignal(error.cause) : undefined) ?? EXIT_CODES[error.code];
}

function statusOfSignal(name: unknown): number | undefined {
	return Object.entries(SIGNAL_STATUS).find(([each]) => each === name)?.[1];
}

/** What the program of an image ended with, as the status of `program`: S2I ends with 1 whenever that is not 0. */
export function exitStatusOf(status: number | undefined, program: ProgramName): number | undefined {
	return program === 's2oci' || status === undefined || status === 0 ? status : 1;
}

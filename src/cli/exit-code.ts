import { type ErrorCode, isBuildError } from '../errors.js';

/** The exit status for each error code, documented in docs/errors.md. SIGTERM turns the 130 of INTERRUPTED into 143. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
	ASSEMBLE_FAILED: 1,
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
	HOST_STORE: 4,
	HOST_WORKER: 4,
	SOURCE_NOT_FOUND: 5,
	SOURCE_INVALID: 5,
	SOURCE_GIT: 5,
	INTERRUPTED: 130,
};

/** The exit status of a bug: whatever was thrown and is no BuildError (EX_SOFTWARE of sysexits.h). */
const BUG = 70;

/** The exit status for a thrown value. */
export function exitCodeOf(error: unknown): number {
	return isBuildError(error) ? EXIT_CODES[error.code] : BUG;
}

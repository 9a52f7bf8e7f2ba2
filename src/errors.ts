import { constants } from 'node:os';

/** Every failure a user can meet. `cli/exit-code.ts` has the exit status of each, `docs/errors.md` what to do. */
export type ErrorCode =
	| 'USAGE'
	| 'REFERENCE_INVALID'
	| 'REGISTRY_UNREACHABLE'
	| 'REGISTRY_UNAUTHORIZED'
	| 'REGISTRY_DENIED'
	| 'REGISTRY_NOT_FOUND'
	| 'REGISTRY_LIMITED'
	| 'REGISTRY_REFUSED'
	| 'CREDENTIALS_INVALID'
	| 'HTTP_FAILED'
	| 'HTTP_NOT_FOUND'
	| 'ENGINE_UNAVAILABLE'
	| 'ENGINE_FAILED'
	| 'ENGINE_NO_IMAGE'
	| 'IMAGE_INVALID'
	| 'IMAGE_UNSUPPORTED'
	| 'IMAGE_PLATFORM'
	| 'IMAGE_USER_NOT_ALLOWED'
	| 'DIGEST_MISMATCH'
	| 'LAYER_INVALID'
	| 'LAYER_UNSAFE'
	| 'HOST_NO_NAMESPACES'
	| 'HOST_NO_OVERLAY'
	| 'HOST_NO_SANDBOX'
	| 'HOST_NOT_BUILDER'
	| 'HOST_IN_PLACE'
	| 'HOST_NO_SPACE'
	| 'HOST_LIMIT'
	| 'HOST_STORE'
	| 'HOST_WORKER'
	| 'SOURCE_NOT_FOUND'
	| 'SOURCE_INVALID'
	| 'SOURCE_GIT'
	| 'SOURCE_EMPTY'
	| 'SCRIPT_MISSING'
	| 'SCRIPT_INVALID'
	| 'ASSEMBLE_FAILED'
	| 'ASSEMBLE_SURVIVED'
	| 'ASSEMBLE_NOT_REPRODUCIBLE'
	| 'BEFORE_PUSH_FAILED'
	| 'OUTPUT_FAILED'
	| 'FLEET_FAILED'
	| 'INTERRUPTED';

/** An error the user can meet: what failed, on what, and in `hint` what to do now. Anything else that is thrown is a bug. */
export class BuildError extends Error {
	override readonly name = 'BuildError';
	readonly code: ErrorCode;
	readonly hint: string | undefined;

	constructor(code: ErrorCode, message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.code = code;
		this.hint = options.hint;
	}
}

/** Whether `value` is a {@link BuildError}; given `codes`, whether it is one of those. */
export function isBuildError(value: unknown, ...codes: readonly ErrorCode[]): value is BuildError {
	return value instanceof BuildError && (codes.length === 0 || codes.includes(value.code));
}

/**
 * The name of a system error (`ENOENT`…), or undefined for anything else. libuv names only errors that it knows, so a full quota or a
 * stale network file is known by its number (errno(3)).
 */
export function errnoOf(value: unknown): string | undefined {
	if (!(value instanceof Error) || !('code' in value) || typeof value.code !== 'string') return undefined;
	const name = /^unknown/i.test(value.code) && 'errno' in value ? nameOf(value.errno) : undefined;
	return name ?? value.code;
}

function nameOf(errno: unknown): string | undefined {
	return Object.entries(constants.errno).find(([, number]) => number === -Number(errno))?.[0];
}

/** What `work` returns; undefined when it throws the system error that has one of these `names`. */
export function unlessErrno<T>(names: readonly string[], work: () => T): T | undefined {
	try {
		return work();
	} catch (error) {
		if (names.includes(errnoOf(error) ?? '')) return undefined;
		throw error;
	}
}

/** What `work` returns; undefined when it throws, whatever that is. */
export function attempt<T>(work: () => T): T | undefined {
	try {
		return work();
	} catch {
		return undefined;
	}
}

/** Whether `work` ended; false when it threw the system error that has one of these `names`, or without them anything at all. */
export function succeeds(work: () => unknown, names?: readonly string[]): boolean {
	const done = () => {
		work();
		return true;
	};
	return (names === undefined ? attempt(done) : unlessErrno(names, done)) === true;
}

/** What `work` returns, a promise or not. What it throws, or rejects with, is given to `explain`, which throws. */
export function explaining<T>(work: () => T, explain: (error: unknown) => never): T {
	try {
		const result = work();
		return (result instanceof Promise ? result.catch(explain) : result) as T;
	} catch (error) {
		return explain(error);
	}
}

/** The text of any thrown value, without a stack. */
export function messageOf(value: unknown): string {
	return value instanceof Error ? value.message : String(value);
}

import { closeSync, constants, openSync } from 'node:fs';
import { unlessErrno } from '../errors.js';
import { O_PATH } from '../root-path.js';

/** A function of the C library. Throws an Error with the name of the errno as its `code` for a negative result. */
export type Native = (...args: readonly unknown[]) => number;
/** Finds one by its C signature. */
export type Bind = (signature: string) => Native;

/** What a process can be kept from. */
export type LandlockReach = 'nothing' | 'files' | 'files-and-signals';

/** One number for all architectures (landlock(7)). */
const SYS_CREATE_RULESET = 444;
const SYS_ADD_RULE = 445;
const SYS_RESTRICT_SELF = 446;
const CREATE_RULESET_VERSION = 1;
const RULE_PATH_BENEATH = 1;
/** Of the first version: everything from EXECUTE to MAKE_SYM. */
const FIRST_RIGHTS = (1n << 13n) - 1n;
/** REFER, TRUNCATE and IOCTL_DEV, by the version that brought them. */
const LATER_RIGHTS: readonly (readonly [version: number, right: bigint])[] = [
	[2, 1n << 13n],
	[3, 1n << 14n],
	[5, 1n << 15n],
];
/** Before REFER, no file could be renamed into another directory. */
const LEAST_VERSION = 2;
const SCOPING_VERSION = 6;
/** Abstract UNIX sockets and signals of processes outside. */
const SCOPED = 0b11n;
const UNRESTRICTED: readonly string[] = ['ENOSYS', 'EOPNOTSUPP', 'EPERM', 'E2BIG'];

/**
 * Keeps this thread, and what it executes, from opening, making, renaming or removing any file that is not below its root directory, also by
 * a descriptor that somebody passes to it; from Linux 6.12 on also from signals to processes and abstract sockets of others, by which it
 * could be passed. Needs no_new_privs. Changes nothing where the kernel or the job's container has no Landlock of use (landlock(7)).
 */
export function restrictToRoot(native: Bind): void {
	const version = landlockVersion(native);
	if (version < LEAST_VERSION) return;
	const create = callOf(native, 'void *, size_t, unsigned int');
	const rights = LATER_RIGHTS.reduce((all, [since, right]) => (version >= since ? all | right : all), FIRST_RIGHTS);
	const attributes = words64(rights, ...(version >= SCOPING_VERSION ? [0n, SCOPED] : []));
	const ruleset = unlessErrno(UNRESTRICTED, () => create(SYS_CREATE_RULESET, attributes, attributes.length, 0));
	if (ruleset === undefined) return;
	const root = openSync('/', O_PATH | constants.O_DIRECTORY);
	try {
		const beneath = Buffer.concat([words64(rights), Buffer.from(Int32Array.of(root).buffer)]);
		callOf(native, 'int, int, void *, unsigned int')(SYS_ADD_RULE, ruleset, RULE_PATH_BENEATH, beneath, 0);
		const restrict = callOf(native, 'int, unsigned int');
		unlessErrno(UNRESTRICTED, () => restrict(SYS_RESTRICT_SELF, ruleset, 0));
	} finally {
		for (const fd of [root, ruleset]) closeSync(fd);
	}
}

/** What {@link restrictToRoot} can do here. */
export function landlockReach(native: Bind): LandlockReach {
	const version = landlockVersion(native);
	if (version < LEAST_VERSION) return 'nothing';
	return version < SCOPING_VERSION ? 'files' : 'files-and-signals';
}

function landlockVersion(native: Bind): number {
	const create = callOf(native, 'void *, size_t, unsigned int');
	return unlessErrno(UNRESTRICTED, () => create(SYS_CREATE_RULESET, null, 0, CREATE_RULESET_VERSION)) ?? 0;
}

function callOf(native: Bind, types: string): Native {
	return native(`long syscall(long number, ${types})`);
}

/** `numbers` as a C library takes 64-bit words; negative ones as the unsigned ones with the same bits. */
export function words64(...numbers: readonly (number | bigint)[]): Buffer {
	return Buffer.from(BigUint64Array.from(numbers, (number) => BigInt.asUintN(64, BigInt(number))).buffer);
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ARCHITECTURES, compileFilter } from '../../../src/sandbox/bpf.js';
import { callNumbers } from '../../../src/sandbox/call-numbers.js';
import { DEFAULT_PROFILE } from '../../../src/sandbox/default-profile.js';
import { NO_LIMITS } from '../../../src/sandbox/limits.js';
import { type Comparison, type Filter, type FilterRule, resolveProfile } from '../../../src/sandbox/profile.js';
import { seccompConfig, seccompProgram } from '../../../src/sandbox/seccomp.js';
import { runProgram } from '../../support/classic-bpf.js';
import { loadLibseccomp } from '../../support/libseccomp.js';
import { skipFor } from '../../support/needs.js';

const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const [EPERM, EINVAL, ENOSYS] = [1, 22, 38];
const CLONE_NEWUSER = 0x10000000n;
const LAST_CALL = 480;
const KERNEL = '6.1.0';
const libseccomp = loadLibseccomp();
const without = libseccomp === undefined ? 'libseccomp is not installed' : undefined;

const machines = Object.entries(ARCHITECTURES).flatMap(([arch, all]) =>
	all.map((each) => [each.name, arch, each] as const),
);

function defaultFilter(arch: string, capabilities: readonly string[] = []): Filter {
	return resolveProfile(DEFAULT_PROFILE, { arch, kernel: KERNEL }, capabilities);
}

function compiled(filter: Filter, arch: string): Buffer {
	return compileFilter(filter, arch) ?? Buffer.alloc(0);
}

function compares({ index, op, value, valueTwo = 0 }: Comparison, args: readonly bigint[], bits: number): boolean {
	const cut = (number: bigint) => BigInt.asUintN(bits, number);
	const [argument, one, two] = [cut(args[index] ?? 0n), cut(BigInt(value)), cut(BigInt(valueTwo))];
	const results: Readonly<Record<Comparison['op'], boolean>> = {
		SCMP_CMP_EQ: argument === one,
		SCMP_CMP_NE: argument !== one,
		SCMP_CMP_LT: argument < one,
		SCMP_CMP_LE: argument <= one,
		SCMP_CMP_GT: argument > one,
		SCMP_CMP_GE: argument >= one,
		SCMP_CMP_MASKED_EQ: (argument & one) === two,
	};
	return results[op];
}

/** What `filter` says of a call, read from its rules. */
function verdictOf(filter: Filter, name: string | undefined, args: readonly bigint[], bits: number): number {
	const rules = filter.syscalls.filter(({ names }) => name !== undefined && names.includes(name));
	const sure = rules.find((rule) => (rule.args ?? []).length === 0);
	const found = sure ?? rules.find((rule) => (rule.args ?? []).every((each) => compares(each, args, bits)));
	const { action, errnoRet } = found ?? { action: filter.defaultAction, errnoRet: filter.defaultErrnoRet };
	return action === 'SCMP_ACT_ALLOW' ? ALLOW : ERRNO | (errnoRet ?? EPERM);
}

/** Numbers around which comparisons change their result, for every value that `filter` has. */
function interesting(filter: Filter): readonly bigint[] {
	const values = filter.syscalls.flatMap(({ args = [] }) =>
		args.flatMap(({ value, valueTwo = 0 }) => [value, valueTwo]),
	);
	const near = [...new Set(values)].flatMap((value) => [-1n, 0n, 1n].map((by) => BigInt(value) + by));
	return [...near, ...near.map((value) => value + (1n << 32n)), CLONE_NEWUSER | 17n].map((value) =>
		BigInt.asUintN(64, value),
	);
}

const anyArgument = (values: readonly bigint[]) =>
	fc.oneof(fc.constantFrom(...values), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.nat({ max: 64 }).map(BigInt));

describe.each(machines)('for %s the default filter', (_name, arch, { set, audit, bits }) => {
	const numbers = callNumbers(set);
	const names = new Map([...numbers].map(([name, number]) => [number, name]));
	const cut = (args: readonly bigint[]) => args.map((argument) => BigInt.asUintN(bits, argument));

	test.each([[[]], [['CAP_SYS_CHROOT']]])('says of every number what its rules say, with %j', (capabilities) => {
		const filter = defaultFilter(arch, capabilities);
		const program = compiled(filter, arch);
		const all = [...Array(LAST_CALL).keys(), ...numbers.values()];
		const values = interesting(filter);
		fc.assert(
			fc.property(fc.tuple(anyArgument(values), anyArgument(values), anyArgument(values)), (some) => {
				const args = cut(some);
				const verdicts = all.map((nr) => [nr, runProgram(program, { nr, arch: audit, args })]);
				expect(verdicts).toEqual(all.map((nr) => [nr, verdictOf(filter, names.get(nr), args, bits)]));
			}),
			{ numRuns: 60 },
		);
	});

	test('refuses what engines refuse, and nothing that builds need', () => {
		const program = compiled(defaultFilter(arch), arch);
		const verdict = (name: string, ...args: readonly bigint[]) => {
			const nr = numbers.get(name);
			return nr === undefined ? undefined : runProgram(program, { nr, arch: audit, args });
		};
		const refused = (
			'keyctl add_key request_key perf_event_open io_uring_setup io_uring_enter io_uring_register userfaultfd bpf unshare mount umount2 ' +
			'pivot_root setns fsopen fsmount move_mount open_tree kexec_load open_by_handle_at init_module finit_module delete_module ' +
			'reboot swapon syslog acct clock_settime quotactl chroot'
		).split(' ');
		for (const name of refused) expect([name, verdict(name)]).toEqual([name, ERRNO | EPERM]);
		expect(verdict('clone3')).toBe(ERRNO | ENOSYS);
		expect(verdict('clone', CLONE_NEWUSER | 17n)).toBe(ERRNO | EPERM);
		expect(verdict('clone', 0x003d0f00n)).toBe(ALLOW);
		for (const name of ['mknodat', 'openat', 'execve', 'ptrace', 'fchmodat2', 'seccomp', 'statx', 'fchownat']) {
			expect([name, verdict(name)]).toEqual([name, ALLOW]);
		}
		const socket = (family: bigint, protocol = 0n) => verdict('socket', family, 1n, protocol);
		expect([1n, 2n, 10n, 16n, 17n].map((family) => socket(family))).toEqual(Array<number>(5).fill(ALLOW));
		expect([socket(38n), socket(40n), socket(16n, 9n)]).toEqual([ERRNO | EPERM, ERRNO | EPERM, ERRNO | EINVAL]);
	});

	test('knows the numbers that libseccomp knows', (context) => {
		skipFor(context, without);
		const theirs = [...numbers].flatMap(([name]) => {
			const number = libseccomp?.numberOf(name, audit);
			return number === undefined ? [] : [[name, number] as const];
		});
		expect(theirs.length).toBeGreaterThan(300);
		expect(theirs).toEqual(theirs.map(([name]) => [name, numbers.get(name)]));
	});
});

const anyComparison: fc.Arbitrary<Comparison> = fc.record({
	index: fc.nat({ max: 5 }),
	op: fc.constantFrom<Comparison['op']>(
		...([
			'SCMP_CMP_EQ',
			'SCMP_CMP_NE',
			'SCMP_CMP_LT',
			'SCMP_CMP_LE',
			'SCMP_CMP_GT',
			'SCMP_CMP_GE',
			'SCMP_CMP_MASKED_EQ',
		] as const),
	),
	value: fc.oneof(fc.nat({ max: 3 }), fc.constantFrom(2 ** 32, 2 ** 32 + 1, 2 ** 40 + 2, 0xffffffff)),
	valueTwo: fc.nat({ max: 3 }),
});
const anyRule: fc.Arbitrary<FilterRule> = fc.record({
	names: fc.uniqueArray(fc.constantFrom('read', 'write', 'clone', 'socket', 'openat', 'no_such_call'), {
		minLength: 1,
	}),
	action: fc.constantFrom('SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO'),
	errnoRet: fc.constantFrom(undefined, 1, 13),
	args: fc.uniqueArray(anyComparison, { maxLength: 3, selector: ({ index }) => index }),
});

test.each(machines)('for %s any rules are compiled to what they say', (_name, arch, { set, audit, bits }) => {
	const argument = anyArgument([1n << 32n, (1n << 32n) + 1n, (1n << 40n) + 2n, (1n << 40n) + 3n, 0xffffffffn]);
	const args = fc.array(argument, { minLength: 6, maxLength: 6 });
	fc.assert(
		fc.property(
			fc.array(anyRule, { maxLength: 6 }),
			fc.array(args, { minLength: 1, maxLength: 8 }),
			(syscalls, tries) => {
				const filter: Filter = { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: ENOSYS, syscalls };
				const program = compiled(filter, arch);
				for (const name of ['read', 'write', 'clone', 'socket', 'openat', 'close']) {
					for (const some of tries) {
						const call = {
							nr: callNumbers(set).get(name) ?? -1,
							arch: audit,
							args: some.map((each) => BigInt.asUintN(bits, each)),
						};
						expect(runProgram(program, call)).toBe(verdictOf(filter, name, call.args, bits));
					}
				}
			},
		),
	);
});

test('the default filter is what libseccomp makes of its rules', (context) => {
	skipFor(
		context,
		without ?? (process.arch === 'x64' ? undefined : 'libseccomp makes filters for this processor only'),
	);
	const filter = defaultFilter('x64');
	const [x64, x86] = ARCHITECTURES['x64'] ?? [];
	if (libseccomp === undefined || x64 === undefined || x86 === undefined) throw new Error('nothing to compare');
	const [ours, theirs] = [compiled(filter, 'x64'), libseccomp.compile(filter, [x86.audit])];
	const values = interesting(filter);
	for (const { audit, set, bits } of [x64, x86]) {
		// It does not know the newest calls.
		const known = [...callNumbers(set)].filter(([name]) => libseccomp.numberOf(name, audit) !== undefined);
		for (const [name, nr] of known) {
			const tries = ['socket', 'clone', 'personality'].includes(name) ? values : [0n];
			for (const value of tries) {
				for (const protocol of [0n, 9n]) {
					const args = [BigInt.asUintN(bits, value), 0n, protocol];
					const [one, two] = [ours, theirs].map((program) => runProgram(program, { nr, arch: audit, args }));
					expect([name, value, one]).toEqual([name, value, two]);
				}
			}
		}
	}
});

describe('a program', () => {
	test.each(['x64', 'arm64'])('on %s is far below what the kernel takes', (arch) => {
		expect(compiled(defaultFilter(arch), arch).length / 8).toBeLessThan(1024);
	});

	test('refuses calls of an architecture that is not known, and of x32', () => {
		const program = compiled(defaultFilter('x64'), 'x64');
		expect(runProgram(program, { nr: 1, arch: 0xc0000015, args: [] })).toBe(ERRNO | ENOSYS);
		for (const nr of [0x40000000, 0x40000001, 0x400000fa, 0x7fffffff, 0xffffffff])
			expect(runProgram(program, { nr, arch: 0xc000003e, args: [] })).toBe(ERRNO | ENOSYS);
	});

	test('lets nothing into other processes where those of the host are among them', () => {
		const spec = {
			process: { argv: ['/a'], env: {}, cwd: '/', user: { uid: 0, gid: 0, additionalGids: [] } },
			userNamespace: 'none',
			limits: NO_LIMITS,
		} as const;
		const machine = { arch: 'x64', kernel: KERNEL };
		const answers = (program: Buffer | undefined) =>
			// ptrace, process_vm_readv, process_vm_writev, kcmp, process_madvise, getpid
			[101, 310, 311, 312, 440, 39].map((nr) =>
				runProgram(program ?? Buffer.alloc(0), { nr, arch: 0xc000003e, args: [] }),
			);
		const [ALLOW, refused] = [0x7fff0000, ERRNO | ENOSYS];
		expect(answers(seccompProgram({ ...spec, besideOthers: true }, machine))).toEqual([
			...Array.from({ length: 5 }, () => refused),
			ALLOW,
		]);
		expect(answers(seccompProgram(spec, machine)).slice(0, 3)).toEqual([ALLOW, ALLOW, ALLOW]);
	});

	test('is not made for a processor whose numbers are not known', () => {
		const spec = {
			process: { argv: ['/a'], env: {}, cwd: '/', user: { uid: 0, gid: 0, additionalGids: [] } },
			userNamespace: 'none',
			limits: NO_LIMITS,
		} as const;
		const machine = { arch: 's390x', kernel: KERNEL };
		expect([seccompProgram(spec, machine), seccompConfig(spec, machine)]).toEqual([undefined, undefined]);
	});
});

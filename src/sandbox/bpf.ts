import { type CallSet, callNumbers } from './call-numbers.js';
import type { Action, Comparison, Filter, FilterRule } from './profile.js';

/** One instruction of classic BPF (linux/filter.h). */
type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, value: number];
type Code = readonly Instruction[];

/** Numbers from `first` on, up to the next, and what is done with them. */
interface Range {
	readonly first: number;
	readonly code: Code;
	/** For comparison: equal codes have equal keys. */
	readonly key: string;
}

const LOAD = 0x20;
const AND = 0x54;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;
/** Offsets in struct seccomp_data; the low half of an argument comes first on all processors here. */
const [NUMBER, ARCHITECTURE, ARGUMENTS] = [0, 4, 16];
const ARGUMENT_BYTES = 8;
const LOW_BITS = 2 ** 32;
const X32_BIT = 0x40000000;
const INSTRUCTION_BYTES = 8;
const FARTHEST = 255;
const [EPERM, ENOSYS] = [1, 38];
const ERRNO = 0x00050000;
const RETURNS: Readonly<Record<Action, number>> = {
	SCMP_ACT_KILL_PROCESS: 0x80000000,
	SCMP_ACT_KILL: 0x00000000,
	SCMP_ACT_KILL_THREAD: 0x00000000,
	SCMP_ACT_TRAP: 0x00030000,
	SCMP_ACT_ERRNO: ERRNO,
	SCMP_ACT_TRACE: 0x7ff00000,
	SCMP_ACT_LOG: 0x7ffc0000,
	SCMP_ACT_ALLOW: 0x7fff0000,
};

interface Architecture {
	readonly name: string;
	readonly set: CallSet;
	/** AUDIT_ARCH of linux/audit.h. */
	readonly audit: number;
	readonly bits: 32 | 64;
}

/** Architectures whose calls a process of `process.arch` can make. */
export const ARCHITECTURES: Readonly<Record<string, readonly Architecture[]>> = {
	x64: [
		{ name: 'SCMP_ARCH_X86_64', set: 'x64', audit: 0xc000003e, bits: 64 },
		{ name: 'SCMP_ARCH_X86', set: 'x86', audit: 0x40000003, bits: 32 },
	],
	arm64: [
		{ name: 'SCMP_ARCH_AARCH64', set: 'arm64', audit: 0xc00000b7, bits: 64 },
		{ name: 'SCMP_ARCH_ARM', set: 'arm', audit: 0x40000028, bits: 32 },
	],
};

/**
 * `filter` as a program for bwrap's --seccomp and prctl(2) on little-endian processors; undefined where the numbers of calls are unknown. It
 * says what libseccomp's says: of several rules for one call, the first without conditions counts, and before that, none but those
 * with. Names that no kernel here has are passed over. Calls of architectures that are not in the filter, and those of x32, are ENOSYS.
 */
export function compileFilter(filter: Filter, arch: string): Buffer | undefined {
	const all = ARCHITECTURES[arch];
	if (all === undefined) return undefined;
	const wanted = all.filter(({ name }) => filter.architectures?.includes(name) ?? true);
	const blocks = wanted.flatMap((each) => {
		const code = callsOf(filter, each);
		return [...unless(JUMP_EQUAL, each.audit, code), ...code];
	});
	return encode([[LOAD, 0, 0, ARCHITECTURE], ...blocks, [RETURN, 0, 0, ERRNO | ENOSYS]]);
}

/** Leads behind `code`, which follows, unless the comparison holds. */
function unless(comparison: number, value: number, code: Code): Code {
	if (code.length <= FARTHEST) return [[comparison, 0, code.length, value]];
	return [
		[comparison, 1, 0, value],
		[JUMP, 0, 0, code.length],
	];
}

function callsOf(filter: Filter, { set, bits }: Architecture): Code {
	const numbers = callNumbers(set);
	const rules = new Map<number, FilterRule[]>();
	for (const rule of filter.syscalls) {
		for (const number of new Set(rule.names.flatMap((name) => numbers.get(name) ?? []))) {
			const others = rules.get(number);
			if (others === undefined) rules.set(number, [rule]);
			else others.push(rule);
		}
	}
	const other = returns(filter.defaultAction, filter.defaultErrnoRet);
	const x32 = set === 'x64' ? [rangeOf(X32_BIT, [[RETURN, 0, 0, ERRNO | ENOSYS]])] : [];
	const ranges = [...rules.keys()].flatMap((number) => [
		rangeOf(number, codeOf(rules.get(number) ?? [], other, bits)),
		...(rules.has(number + 1) ? [] : [rangeOf(number + 1, other)]),
	]);
	const sorted = [rangeOf(0, other), ...ranges, ...x32].sort((one, two) => one.first - two.first);
	return [[LOAD, 0, 0, NUMBER], ...search(joined(sorted))];
}

function rangeOf(first: number, code: Code): Range {
	return { first, code, key: code.join() };
}

/** Of ranges that begin at the same number the last counts, and neighbours with equal codes become one. */
function joined(sorted: readonly Range[]): readonly Range[] {
	const last = sorted.filter((range, index) => sorted[index + 1]?.first !== range.first);
	return last.filter((range, index) => last[index - 1]?.key !== range.key);
}

/** Finds the range of the number that is loaded by halves. */
function search(ranges: readonly Range[]): Code {
	const [first] = ranges;
	if (ranges.length < 2) return first?.code ?? [];
	const middle = Math.ceil(ranges.length / 2);
	const below = search(ranges.slice(0, middle));
	const above = search(ranges.slice(middle));
	const from = ranges[middle]?.first ?? 0;
	if (below.length <= FARTHEST) return [[JUMP_AT_LEAST, below.length, 0, from], ...below, ...above];
	return [[JUMP_AT_LEAST, 0, 1, from], [JUMP, 0, 0, below.length], ...below, ...above];
}

function codeOf(rules: readonly FilterRule[], other: Code, bits: 32 | 64): Code {
	const sure = rules.find(({ args = [] }) => args.length === 0);
	if (sure !== undefined) return returns(sure.action, sure.errnoRet);
	const each = rules.flatMap((rule) => alternativesOf(rule).map((args) => conditional(rule, args, bits)));
	return [...each.flat(), ...other];
}

/** Several conditions on one argument are a rule each (runc libcontainer/seccomp). */
function alternativesOf({ args = [] }: FilterRule): readonly (readonly Comparison[])[] {
	const isTwice = new Set(args.map(({ index }) => index)).size < args.length;
	return isTwice ? args.map((each) => [each]) : [args];
}

/** Ends behind itself unless all of `args` hold. */
function conditional({ action, errnoRet }: FilterRule, args: readonly Comparison[], bits: 32 | 64): Code {
	return args.reduceRight<Code>(
		(inner, comparison) => [...compare(comparison, inner.length, bits), ...inner],
		returns(action, errnoRet),
	);
}

/** Leads `away` instructions farther than behind itself unless the argument is as it should be. */
function compare({ index, value, valueTwo = 0, op }: Comparison, away: number, bits: 32 | 64): Code {
	const at = ARGUMENTS + index * ARGUMENT_BYTES;
	const load = (half: number): Instruction => [LOAD, 0, 0, at + half];
	const [high, low] = [Math.floor(value / LOW_BITS), value % LOW_BITS];
	if (op === 'SCMP_CMP_MASKED_EQ') {
		const [wantedHigh, wantedLow] = [Math.floor(valueTwo / LOW_BITS), valueTwo % LOW_BITS];
		const lower: Code = [load(0), [AND, 0, 0, low], [JUMP_EQUAL, 0, away, wantedLow]];
		if (bits === 32 || (high === 0 && wantedHigh === 0)) return lower;
		return [load(4), [AND, 0, 0, high], [JUMP_EQUAL, 0, away + lower.length, wantedHigh], ...lower];
	}
	const lower: Code = [load(0), compareLow(op, low, away)];
	if (bits === 32) return lower;
	const [pass, fail] = [lower.length, lower.length + away];
	if (op === 'SCMP_CMP_EQ') return [load(4), [JUMP_EQUAL, 0, fail, high], ...lower];
	if (op === 'SCMP_CMP_NE') return [load(4), [JUMP_EQUAL, 0, pass, high], ...lower];
	const isGreater = op === 'SCMP_CMP_GT' || op === 'SCMP_CMP_GE';
	const [whenGreater, whenLess] = isGreater ? [pass, fail] : [fail, pass];
	return [load(4), [JUMP_GREATER, whenGreater + 1, 0, high], [JUMP_EQUAL, 0, whenLess, high], ...lower];
}

function compareLow(op: Exclude<Comparison['op'], 'SCMP_CMP_MASKED_EQ'>, low: number, away: number): Instruction {
	const codes = {
		SCMP_CMP_EQ: [JUMP_EQUAL, 0, away, low],
		SCMP_CMP_NE: [JUMP_EQUAL, away, 0, low],
		SCMP_CMP_GT: [JUMP_GREATER, 0, away, low],
		SCMP_CMP_GE: [JUMP_AT_LEAST, 0, away, low],
		SCMP_CMP_LE: [JUMP_GREATER, away, 0, low],
		SCMP_CMP_LT: [JUMP_AT_LEAST, away, 0, low],
	} as const;
	return codes[op];
}

function returns(action: Action, errnoRet: number | undefined): Code {
	const hasNumber = action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE';
	return [[RETURN, 0, 0, RETURNS[action] + (hasNumber ? (errnoRet ?? EPERM) : 0)]];
}

function encode(instructions: Code): Buffer {
	const program = Buffer.alloc(instructions.length * INSTRUCTION_BYTES);
	for (const [index, [code, whenTrue, whenFalse, value]] of instructions.entries()) {
		const at = index * INSTRUCTION_BYTES;
		program.writeUInt16LE(code, at);
		program.writeUInt8(whenTrue, at + 2);
		program.writeUInt8(whenFalse, at + 3);
		program.writeUInt32LE(value >>> 0, at + 4);
	}
	return program;
}

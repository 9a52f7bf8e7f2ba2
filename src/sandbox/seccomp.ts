import { CLONE_NEWUSER, DENIED, type DeniedCall } from './denied-calls.js';

/** One instruction of classic BPF (linux/filter.h). */
type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, value: number];

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_SET = 0x45;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;
/** Offsets in struct seccomp_data; the low half of an argument comes first on all that are listed here. */
const [NUMBER, ARCHITECTURE, FIRST_ARGUMENT] = [0, 4, 16];
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const [EPERM, ENOSYS] = [1, 38];
const X32_BIT = 0x40000000;
const INSTRUCTION_BYTES = 8;

/** Architectures whose calls a process of `process.arch` can make: the column of their numbers, and the kernel's AUDIT_ARCH. */
const ARCHITECTURES: Readonly<Record<string, readonly (readonly [column: number, audit: number, name: string])[]>> = {
	x64: [
		[0, 0xc000003e, 'SCMP_ARCH_X86_64'],
		[2, 0x40000003, 'SCMP_ARCH_X86'],
	],
	arm64: [
		[1, 0xc00000b7, 'SCMP_ARCH_AARCH64'],
		[3, 0x40000028, 'SCMP_ARCH_ARM'],
	],
};

/**
 * The filter as `linux.seccomp` of the OCI runtime configuration (runtime-spec v1.0.2 config-linux.md); undefined on processors whose
 * numbers we do not know.
 */
export function seccompConfig(arch: string): object | undefined {
	const architectures = ARCHITECTURES[arch];
	if (architectures === undefined) return undefined;
	const x32 = arch === 'x64' ? ['SCMP_ARCH_X32'] : [];
	return {
		defaultAction: 'SCMP_ACT_ALLOW',
		architectures: [...architectures.map(([, , name]) => name), ...x32],
		syscalls: DENIED.map(rule),
	};
}

function rule({ name, when }: DeniedCall): object {
	const masked = { index: 0, value: CLONE_NEWUSER, valueTwo: CLONE_NEWUSER, op: 'SCMP_CMP_MASKED_EQ' };
	return {
		names: [name],
		action: 'SCMP_ACT_ERRNO',
		errnoRet: when === 'unknown' ? ENOSYS : EPERM,
		...(when === 'new user namespace' && { args: [masked] }),
	};
}

/** The filter as a program for bwrap's --seccomp and prctl(2) on little-endian processors; undefined where the numbers are unknown. */
export function seccompProgram(arch: string): Buffer | undefined {
	const architectures = ARCHITECTURES[arch];
	if (architectures === undefined) return undefined;
	const blocks = architectures.map(([column, audit]) => block(column, audit, arch === 'x64' && column === 0));
	const instructions: readonly Instruction[] = [
		[LOAD, 0, 0, ARCHITECTURE],
		...blocks.flat(),
		// An architecture without numbers here could make every call.
		[RETURN, 0, 0, ERRNO | ENOSYS],
	];
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

/** What is done with a call of the architecture `audit`; else the instructions behind it follow, with the architecture still loaded. */
function block(column: number, audit: number, hasX32: boolean): readonly Instruction[] {
	const inside: readonly Instruction[] = [
		[LOAD, 0, 0, NUMBER],
		...(hasX32
			? ([
					[JUMP_AT_LEAST, 0, 1, X32_BIT],
					[RETURN, 0, 0, ERRNO | ENOSYS],
				] as const)
			: []),
		...DENIED.flatMap(({ numbers, when }): readonly Instruction[] => {
			const number = numbers[column] ?? 0;
			if (when === 'new user namespace') {
				return [
					[JUMP_EQUAL, 0, 4, number],
					[LOAD, 0, 0, FIRST_ARGUMENT],
					[JUMP_SET, 0, 1, CLONE_NEWUSER],
					[RETURN, 0, 0, ERRNO | EPERM],
					[RETURN, 0, 0, ALLOW],
				];
			}
			return [
				[JUMP_EQUAL, 0, 1, number],
				[RETURN, 0, 0, ERRNO | (when === 'unknown' ? ENOSYS : EPERM)],
			];
		}),
		[RETURN, 0, 0, ALLOW],
	];
	return [[JUMP_EQUAL, 0, inside.length, audit], ...inside];
}

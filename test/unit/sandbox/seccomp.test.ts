import { describe, expect, test } from 'vitest';
import { CLONE_NEWUSER, DENIED } from '../../../src/sandbox/denied-calls.js';
import { seccompConfig, seccompProgram } from '../../../src/sandbox/seccomp.js';

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const [X64, ARM64, X86, ARM] = [0xc000003e, 0xc00000b7, 0x40000003, 0x40000028];

/** What the kernel would do with a call: the few instructions of classic BPF that filters of ours have. */
function verdictOf(
	program: Buffer,
	data: { readonly nr: number; readonly arch: number; readonly flags?: number },
): number {
	const fields = new Map([
		[0, data.nr],
		[4, data.arch],
		[16, data.flags ?? 0],
	]);
	let accumulator = 0;
	for (let index = 0; ; index++) {
		const at = index * 8;
		const [code, value] = [program.readUInt16LE(at), program.readUInt32LE(at + 4)];
		if (code === 0x06) return value;
		if (code === 0x20) accumulator = fields.get(value) ?? Number.NaN;
		else {
			const holds = { 21: accumulator === value, 53: accumulator >= value, 69: (accumulator & value) !== 0 }[code];
			if (holds === undefined) throw new Error(`instruction ${String(code)}`);
			index += program.readUInt8(at + (holds ? 2 : 3));
		}
	}
}

describe.each([
	['x64', [X64, X86], [0, 2]],
	['arm64', [ARM64, ARM], [1, 3]],
] as const)('on %s', (arch, audits, columns) => {
	const program = seccompProgram(arch) ?? Buffer.alloc(0);

	test.each(DENIED.map((call) => [call.name, call] as const))('%s is refused by each of its numbers', (_name, call) => {
		for (const [index, column] of columns.entries()) {
			const nr = call.numbers[column];
			const verdict = verdictOf(program, { nr, arch: audits[index] ?? 0, flags: CLONE_NEWUSER | 17 });
			expect(verdict).toBe(call.when === 'unknown' ? ENOSYS : EPERM);
		}
	});

	test('every other call is allowed, and so are threads and processes', () => {
		const denied = new Set(DENIED.map(({ numbers }) => numbers[columns[0]]));
		for (let nr = 0; nr < 500; nr++) {
			if (!denied.has(nr)) expect(verdictOf(program, { nr, arch: audits[0] })).toBe(ALLOW);
		}
		const clone = DENIED.find(({ name }) => name === 'clone')?.numbers[columns[0]] ?? Number.NaN;
		expect(verdictOf(program, { nr: clone, arch: audits[0], flags: 0x003d0f00 })).toBe(ALLOW);
	});

	test('no call is allowed to an architecture that is not known', () => {
		expect(verdictOf(program, { nr: 1, arch: 0xc0000015 })).toBe(ENOSYS);
	});
});

test('the numbers of x32 are not a way around', () => {
	const program = seccompProgram('x64') ?? Buffer.alloc(0);
	expect(verdictOf(program, { nr: 0x40000000 | 250, arch: X64 })).toBe(ENOSYS);
});

test('there is none for a processor whose numbers are not known', () => {
	expect([seccompProgram('s390x'), seccompConfig('s390x')]).toEqual([undefined, undefined]);
});

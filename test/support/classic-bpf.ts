/** A call as a filter sees it (struct seccomp_data); `args` are unsigned and have 64 bits. */
export interface Call {
	readonly nr: number;
	/** AUDIT_ARCH of linux/audit.h. */
	readonly arch: number;
	readonly args: readonly bigint[];
}

const INSTRUCTION_BYTES = 8;
const MAX_INSTRUCTIONS = 4096;
const DATA_BYTES = 64;

/**
 * What the kernel would do with `call` under a seccomp program of little-endian classic BPF: the value that it returns. Throws for what
 * the kernel would not load: instructions that filters may not have, jumps out of the program, programs without an end.
 */
export function runProgram(program: Buffer, { nr, arch, args }: Call): number {
	const count = program.length / INSTRUCTION_BYTES;
	if (!Number.isInteger(count) || count === 0 || count > MAX_INSTRUCTIONS) throw new Error(`${count} instructions`);
	const data = Buffer.alloc(DATA_BYTES);
	data.writeUInt32LE(nr, 0);
	data.writeUInt32LE(arch, 4);
	for (const [index, value] of args.entries()) data.writeBigUInt64LE(value, 16 + index * 8);
	let accumulator = 0;
	for (let index = 0; index < count; index++) {
		const at = index * INSTRUCTION_BYTES;
		const [code, value] = [program.readUInt16LE(at), program.readUInt32LE(at + 4)];
		if (code === 0x06) return value;
		if (code === 0x20) accumulator = data.readUInt32LE(value);
		else if (code === 0x54) accumulator = (accumulator & value) >>> 0;
		else if (code === 0x05) index += value;
		else index += program.readUInt8(at + (holds(code, accumulator, value) ? 2 : 3));
	}
	throw new Error('the program has no end');
}

function holds(code: number, accumulator: number, value: number): boolean {
	if (code === 0x15) return accumulator === value;
	if (code === 0x25) return accumulator > value;
	if (code === 0x35) return accumulator >= value;
	if (code === 0x45) return (accumulator & value) !== 0;
	throw new Error(`instruction 0x${code.toString(16)}`);
}

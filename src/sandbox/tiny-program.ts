/** The exit status of {@link tinyProgram}, which nothing else that may run instead of it is likely to have. */
export const TINY_STATUS = 42;

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const CODE_OFFSET = HEADER_BYTES + SEGMENT_BYTES;
const BASE = 0x400000n;
const PAGE = 0x10000n;
const EXECUTABLE = 2;
const LOAD = 1;
const READ_EXECUTE = 5;

interface Machine {
	/** e_machine of elf(5). */
	readonly number: number;
	/** exit(TINY_STATUS) as machine code. */
	readonly code: readonly number[];
}

const MACHINES: Readonly<Record<string, Machine>> = {
	x64: { number: 62, code: [0xbf, TINY_STATUS, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05] },
	arm64: { number: 183, code: [...word(0xd2800000 | (TINY_STATUS << 5)), ...word(0xd2800ba8), ...word(0xd4000001)] },
};

/**
 * A static program for `architecture` (as `process.arch`) that does nothing but end with {@link TINY_STATUS}, so that running something
 * in a root filesystem needs nothing of the host; undefined where s2oci does not run either.
 */
export function tinyProgram(architecture: string): Uint8Array | undefined {
	const machine = MACHINES[architecture];
	return machine === undefined ? undefined : elf(machine);
}

function word(value: number): readonly number[] {
	return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}

/** The smallest file that elf(5) allows: a header, one segment, code. */
function elf({ number, code }: Machine): Uint8Array {
	const file = Buffer.alloc(CODE_OFFSET + code.length);
	file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
	file.writeUInt16LE(EXECUTABLE, 16);
	file.writeUInt16LE(number, 18);
	file.writeUInt32LE(1, 20);
	file.writeBigUInt64LE(BASE + BigInt(CODE_OFFSET), 24);
	file.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
	for (const [value, offset] of [
		[HEADER_BYTES, 52],
		[SEGMENT_BYTES, 54],
		[1, 56],
	] as const)
		file.writeUInt16LE(value, offset);
	file.writeUInt32LE(LOAD, HEADER_BYTES);
	file.writeUInt32LE(READ_EXECUTE, HEADER_BYTES + 4);
	for (const offset of [16, 24]) file.writeBigUInt64LE(BASE, HEADER_BYTES + offset);
	for (const offset of [32, 40]) file.writeBigUInt64LE(BigInt(file.length), HEADER_BYTES + offset);
	file.writeBigUInt64LE(PAGE, HEADER_BYTES + 48);
	file.set(code, CODE_OFFSET);
	return file;
}

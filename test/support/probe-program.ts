/** A system call that the probe makes; a string is the address of that string, `data` that of 64 zero bytes. */
export interface ProbeCall {
	readonly name: string;
	readonly nr: number;
	readonly args: readonly (number | string | typeof DATA)[];
}

/** What came of it: the call's result, negative for an error; and what is in the data of all. */
export interface ProbeResults {
	readonly results: ReadonlyMap<string, number>;
	readonly data: Buffer;
}

export const DATA: unique symbol = Symbol('data');

const BASE = 0x400000;
const HEADERS = 64 + 56;
const CALL_BYTES = 56;
const DATA_BYTES = 64;
const WORDS = 7;

/**
 * A static ELF program for x64 that makes `calls` one after the other and writes what came of them to its standard output; it needs no
 * library and no file, so that it runs in any root filesystem.
 */
export function probeProgram(calls: readonly ProbeCall[]): Buffer {
	const table = BASE + HEADERS + CODE_BYTES;
	const dataAt = table + calls.length * CALL_BYTES;
	const strings = new Map<string, number>();
	let end = dataAt + DATA_BYTES;
	for (const text of new Set(calls.flatMap(({ args }) => args.filter((each) => typeof each === 'string')))) {
		strings.set(text, end);
		end += Buffer.byteLength(text) + 1;
	}
	const file = Buffer.alloc(end - BASE);
	writeHeaders(file);
	const size = calls.length * CALL_BYTES + DATA_BYTES;
	file.set(codeFor(calls.length, size), HEADERS);
	for (const [index, { nr, args }] of calls.entries()) {
		const words = [
			nr,
			...args.map((each) => (each === DATA ? dataAt : typeof each === 'string' ? strings.get(each) : each)),
		];
		for (const [word, value] of words.entries()) {
			file.writeBigInt64LE(BigInt(value ?? 0), table - BASE + index * CALL_BYTES + word * 8);
		}
	}
	for (const [text, at] of strings) file.write(text, at - BASE);
	return file;
}

/** What the program for `calls` wrote. */
export function readProbe(output: Buffer, calls: readonly ProbeCall[]): ProbeResults {
	if (output.length !== calls.length * CALL_BYTES + DATA_BYTES)
		throw new Error(`the probe wrote ${output.length} bytes`);
	const results = calls.map(({ name }, index) => [name, Number(output.readBigInt64LE(index * CALL_BYTES))] as const);
	return { results: new Map(results), data: output.subarray(calls.length * CALL_BYTES) };
}

const LOADS = [
	...[0x48, 0x8b, 0x03], // mov rax, [rbx]
	...[0x48, 0x8b, 0x7b, 0x08], // mov rdi, [rbx + 8]
	...[0x48, 0x8b, 0x73, 0x10], // mov rsi, [rbx + 16]
	...[0x48, 0x8b, 0x53, 0x18], // mov rdx, [rbx + 24]
	...[0x4c, 0x8b, 0x53, 0x20], // mov r10, [rbx + 32]
	...[0x4c, 0x8b, 0x43, 0x28], // mov r8, [rbx + 40]
	...[0x4c, 0x8b, 0x4b, 0x30], // mov r9, [rbx + 48]
	...[0x0f, 0x05], // syscall
	...[0x48, 0x89, 0x03], // mov [rbx], rax
	...[0x48, 0x83, 0xc3, WORDS * 8], // add rbx, 56
	...[0x41, 0xff, 0xcc], // dec r12d
];
const CODE_BYTES = codeFor(0, 0).length;

function codeFor(count: number, size: number): readonly number[] {
	const loop = [...LOADS, 0x75, (256 - LOADS.length - 2) & 0xff]; // jnz to the first of them
	const tail = [
		...[0xb8, ...int32(1), 0xbf, ...int32(1)], // write, standard output
		...[0x48, 0x8d, 0x35], // lea rsi, [rip + the rest of the code]
	];
	const after = [0xba, ...int32(size), 0x0f, 0x05, 0xb8, ...int32(60), 0x31, 0xff, 0x0f, 0x05]; // exit(0)
	const rest = [0x41, 0xbc, ...int32(count), ...loop, ...tail, ...int32(after.length), ...after]; // mov r12d, count
	return [0x48, 0x8d, 0x1d, ...int32(rest.length), ...rest]; // lea rbx, [rip + the rest of the code]
}

function int32(value: number): readonly number[] {
	return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}

/** elf(5): one segment, which is readable, writable and executable. */
function writeHeaders(file: Buffer): void {
	file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
	file.writeUInt16LE(2, 16);
	file.writeUInt16LE(62, 18);
	file.writeUInt32LE(1, 20);
	file.writeBigUInt64LE(BigInt(BASE + HEADERS), 24);
	file.writeBigUInt64LE(64n, 32);
	file.writeUInt16LE(64, 52);
	file.writeUInt16LE(56, 54);
	file.writeUInt16LE(1, 56);
	file.writeUInt32LE(1, 64);
	file.writeUInt32LE(7, 68);
	for (const at of [80, 88]) file.writeBigUInt64LE(BigInt(BASE), at);
	for (const at of [96, 104]) file.writeBigUInt64LE(BigInt(file.length), at);
	file.writeBigUInt64LE(0x1000n, 112);
}

import { latin1Path, type RawPath } from '../root-path.js';

/** What the kernel asks of a program in the ELF format (System V ABI, "Program Loading"; elf(5)). */
export interface ElfNeeds {
	/** `e_machine`. */
	readonly machine: number;
	/** The dynamic loader, as the program names it; undefined when it is linked statically or names it beyond the bytes that were read. */
	readonly loader: RawPath | undefined;
}

const PT_INTERP = 3;
const MAX_HEADERS = 64;

/** Reads the first bytes of a program; undefined when they are not those of an ELF program that can be read. */
export function readElf(head: Buffer): ElfNeeds | undefined {
	if (head.length < 64 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
	const is64 = head[4] === 2;
	const little = head[5] === 1;
	const number = (at: number, size: number): number => {
		if (at < 0 || at + size > head.length) return 0;
		if (size === 8) return Number(little ? head.readBigUInt64LE(at) : head.readBigUInt64BE(at));
		return little ? head.readUIntLE(at, size) : head.readUIntBE(at, size);
	};
	const start = is64 ? number(32, 8) : number(28, 4);
	const size = number(is64 ? 54 : 42, 2);
	const count = Math.min(number(is64 ? 56 : 44, 2), MAX_HEADERS);
	const headers = Array.from({ length: count }, (_none, index) => start + index * size);
	const interpreter = headers.find((at) => number(at, 4) === PT_INTERP);
	return {
		machine: number(18, 2),
		loader:
			interpreter === undefined
				? undefined
				: textAt(
						head,
						number(interpreter + (is64 ? 8 : 4), is64 ? 8 : 4),
						number(interpreter + (is64 ? 32 : 16), is64 ? 8 : 4),
					),
	};
}

function textAt(head: Buffer, at: number, length: number): RawPath | undefined {
	if (length < 2 || at + length > head.length) return undefined;
	return latin1Path(head.toString('latin1', at, at + length).replace(/\0.*$/s, ''));
}

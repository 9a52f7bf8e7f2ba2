import { crc32 } from 'node:zlib';

/** Whether all `bytes`, at least one, are zero: the first is, and each is the one before it. */
export function isZero(bytes: Buffer): boolean {
	return bytes[0] === 0 && bytes.compare(bytes, 1, bytes.length, 0, bytes.length - 1) === 0;
}

/**
 * CRC-32 that goes over zeros faster than reading them: `length` zeros multiply the register by a matrix over GF(2) (RFC 1952 8; zlib's
 * crc32_combine), which is found once from what they make of each single bit. Other chunks are given to zlib.
 */
export function createChecksum(length: number): (chunk: Buffer, checksum: number) => number {
	let columns: readonly number[] | undefined;
	return (chunk, checksum) => {
		if (chunk.length !== length || !isZero(chunk)) return crc32(chunk, checksum);
		columns ??= Array.from({ length: 32 }, (_none, bit) => ~crc32(chunk, ~(1 << bit) >>> 0));
		const register = ~checksum;
		return ~columns.reduce((sum, column, bit) => ((register >>> bit) & 1 ? sum ^ column : sum), 0) >>> 0;
	};
}

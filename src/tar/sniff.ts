import type { Compression } from './decompress.js';

/** How many bytes tell how something is compressed. */
export const SNIFFED = 8;

const MAGIC: readonly (readonly [Buffer, Compression | 'bzip2' | 'xz'])[] = [
	[Buffer.from([0x1f, 0x8b]), 'gzip'],
	[Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 'zstd'],
	[Buffer.from('BZh'), 'bzip2'],
	[Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), 'xz'],
];
const ZSTD_SKIPPABLE = 0x184d2a50;

/** How what begins with `start` is compressed, whatever its name; of a zstd stream that begins with a skippable frame (RFC 8878, 3.1.2), too. */
export function sniffCompression(start: Buffer): Compression | 'bzip2' | 'xz' {
	const isSkippable = start.length >= 4 && (start.readUInt32LE(0) & ~0xf) >>> 0 === ZSTD_SKIPPABLE;
	if (isSkippable) return 'zstd';
	return MAGIC.find(([magic]) => start.subarray(0, magic.length).equals(magic))?.[1] ?? 'none';
}

/** The first `count` bytes of `input`, where there are as many, and all of it. */
export async function takeStart<Chunk extends Uint8Array>(
	input: AsyncIterator<Chunk>,
	count: number = SNIFFED,
): Promise<{ readonly start: Buffer; readonly all: AsyncGenerator<Chunk, void, undefined> }> {
	const held: Chunk[] = [];
	for (let length = 0; length < count; length += held.at(-1)?.length ?? 0) {
		const next = await input.next();
		if (next.done === true) break;
		held.push(next.value);
	}
	async function* all(): AsyncGenerator<Chunk, void, undefined> {
		yield* held;
		for (let next = await input.next(); next.done !== true; next = await input.next()) yield next.value;
	}
	return { start: Buffer.concat(held).subarray(0, count), all: all() };
}

import { open } from 'node:fs/promises';
import { BuildError } from '../errors.js';
import { type Compression, decompress } from '../tar/decompress.js';

/** What a compressed archive may always grow to, and how often its own size beyond that. */
const FLOOR = 64 * 2 ** 30;
const MAX_RATIO = 200;
const MAGIC: readonly (readonly [Buffer, Compression | 'bzip2' | 'xz'])[] = [
	[Buffer.from([0x1f, 0x8b]), 'gzip'],
	[Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 'zstd'],
	[Buffer.from('BZh'), 'bzip2'],
	[Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), 'xz'],
];
/** How many bytes tell how something is compressed. */
export const SNIFFED = 8;
const ZSTD_SKIPPABLE = 0x184d2a50;

/** How an archive that begins with `start` is compressed, whatever its name. Throws IMAGE_UNSUPPORTED for bzip2 and xz. */
export function sniffArchive(start: Buffer): Compression {
	const isSkippable = start.length >= 4 && (start.readUInt32LE(0) & ~0xf) >>> 0 === ZSTD_SKIPPABLE;
	const found = isSkippable ? 'zstd' : MAGIC.find(([magic]) => start.subarray(0, magic.length).equals(magic))?.[1];
	if (found !== 'bzip2' && found !== 'xz') return found ?? 'none';
	throw new BuildError('IMAGE_UNSUPPORTED', `image archives compressed with ${found} are not supported`, {
		hint: `Decompress it first, with ${found} -d, or compress it with gzip or zstd.`,
	});
}

/**
 * Writes the uncompressed bytes of `input` to the new file `path`. Throws LAYER_INVALID for damaged input and for what grows beyond 64 GiB
 * and 200 times its size, and what the file system says.
 */
export async function expand(input: AsyncIterable<Buffer>, path: string, signal: AbortSignal): Promise<void> {
	let [taken, made] = [0, 0];
	const counted = async function* () {
		for await (const chunk of input) {
			taken += chunk.length;
			yield chunk;
		}
	};
	const { start, all } = await peek(counted());
	const file = await open(path, 'wx', 0o600);
	try {
		for await (const chunk of decompress(sniffArchive(start), all, `${path}.spool`, signal)) {
			signal.throwIfAborted();
			made += chunk.length;
			if (made > Math.max(FLOOR, taken * MAX_RATIO)) throw bomb();
			await file.writeFile(chunk);
		}
	} finally {
		await file.close();
	}
}

/** The first bytes of `input`, and all of it. */
async function peek(
	input: AsyncGenerator<Buffer>,
): Promise<{ readonly start: Buffer; readonly all: AsyncIterable<Buffer> }> {
	const held: Buffer[] = [];
	let length = 0;
	while (length < SNIFFED) {
		const { value, done } = (await input.next()) as IteratorResult<Buffer, undefined>;
		if (done === true) break;
		held.push(value);
		length += value.length;
	}
	const all = async function* () {
		yield* held;
		yield* input;
	};
	return { start: Buffer.concat(held).subarray(0, SNIFFED), all: all() };
}

function bomb(): BuildError {
	return new BuildError('LAYER_INVALID', 'an archive cannot be used: it grows beyond 64 GiB and 200 times its size', {
		hint: 'No image grows so much.',
	});
}

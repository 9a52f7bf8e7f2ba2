import { availableParallelism } from 'node:os';
import { constants, crc32, createDeflateRaw, type ZlibOptions } from 'node:zlib';

/** Compresses what is written, in order, to one gzip member. `write` resolves when more may be written. */
export interface GzipWriter {
	readonly write: (chunk: Buffer) => Promise<void>;
	/** Resolves when the last byte was handed to the output. */
	readonly end: () => Promise<void>;
}

const BLOCK = 1 << 20;
const WINDOW = 32768;
/** The size of most chunks that are written: those of packing. */
const PIECE = 256 * 1024;
/** Of what is compressed; most blocks take no more than this. */
const CHUNK = 512 * 1024;
const LEVEL = 5;
/** Magic, deflate, no flags, no time, no extra flags, unknown system: the same on every machine (RFC 1952 2.3). */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const LAST_BLOCK = Buffer.from([3, 0]);

/** What a block became, in order. */
type Deflated = readonly Buffer[];

function deflate(block: Buffer, options: ZlibOptions): Promise<Deflated> {
	return new Promise((resolve, reject) => {
		const pieces: Buffer[] = [];
		const stream = createDeflateRaw(options);
		stream.on('data', (piece: Buffer) => void pieces.push(piece));
		stream.on('error', reject);
		stream.on('end', () => resolve(pieces));
		stream.end(block);
	});
}

/**
 * Deflates a block as {@link createGzipWriter} does. A block of zeros behind zeros, of which a file with holes has thousands, gives the
 * same bytes each time, which are found once.
 */
function createDeflate(): (content: Buffer, dictionary: Buffer | undefined) => Promise<Deflated> {
	const flags = { level: LEVEL, chunkSize: CHUNK, finishFlush: constants.Z_SYNC_FLUSH };
	let zeros: Promise<Deflated> | undefined;
	return (content, dictionary) => {
		if (dictionary === undefined) return deflate(content, flags);
		const isWhole = content.length === BLOCK && dictionary.length === WINDOW;
		if (!isWhole || !isZero(content) || !isZero(dictionary)) return deflate(content, { ...flags, dictionary });
		zeros ??= deflate(Buffer.alloc(BLOCK), { ...flags, dictionary });
		return zeros.then((pieces) => pieces.map((piece) => Buffer.from(piece)));
	};
}

/**
 * Block-parallel gzip in libuv's thread pool: blocks of 1 MiB, each with the 32 KiB before it as dictionary, joined by sync flushes.
 * The bytes depend on the input alone (and on Node's zlib), not on chunk sizes or the number of threads.
 * What `output` is given is its own only until it returns.
 */
export function createGzipWriter(output: (chunk: Buffer) => void): GzipWriter {
	const most = availableParallelism() + 3;
	const queue: Promise<Deflated>[] = [];
	const spare: Buffer<ArrayBuffer>[] = [];
	let block = Buffer.allocUnsafeSlow(BLOCK);
	let filled = 0;
	let dictionary: Buffer | undefined;
	let checksum = 0;
	let length = 0;

	const deflated = createDeflate();
	const addTo = createChecksum(PIECE);

	const emitFirst = async () => {
		const pieces = (await queue.shift()) ?? [];
		for (const piece of pieces) output(piece);
		for (const piece of pieces) release(piece);
	};
	const compress = async () => {
		const [current, content] = [block, block.subarray(0, filled)];
		const compressed = deflated(content, dictionary);
		queue.push(compressed);
		// The block is filled again before zlib gets its end as dictionary.
		dictionary = Buffer.from(content.subarray(Math.max(0, content.length - WINDOW)));
		const done = () => void spare.push(current);
		compressed.then(done, done);
		block = spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK);
		filled = 0;
		while (queue.length >= most) await emitFirst();
	};

	output(HEADER);
	return {
		write: async (chunk) => {
			checksum = addTo(chunk, checksum);
			length += chunk.length;
			for (let at = 0; at < chunk.length; ) {
				const taken = Math.min(BLOCK - filled, chunk.length - at);
				chunk.copy(block, filled, at, at + taken);
				filled += taken;
				at += taken;
				if (filled === BLOCK) await compress();
			}
		},
		end: async () => {
			if (filled > 0) await compress();
			while (queue.length > 0) await emitFirst();
			const trailer = Buffer.alloc(8);
			trailer.writeUInt32LE(checksum, 0);
			trailer.writeUInt32LE(length % 2 ** 32, 4);
			output(Buffer.concat([LAST_BLOCK, trailer]));
		},
	};
}

/** Gives memory back at once that only the next collection of garbage would: until then it is that of a hundred blocks. */
function release({ buffer }: Buffer): void {
	if (buffer instanceof ArrayBuffer && !buffer.detached && buffer.byteLength === CHUNK) buffer.transfer(0);
}

/** Whether all `bytes`, at least one, are zero: the first is, and each is the one before it. */
export function isZero(bytes: Buffer): boolean {
	return bytes[0] === 0 && bytes.compare(bytes, 1, bytes.length, 0, bytes.length - 1) === 0;
}

/**
 * CRC-32 that goes over zeros faster than reading them: `length` zeros multiply the register by a matrix over GF(2) (RFC 1952 8; zlib's
 * crc32_combine), which is found once from what they make of each single bit. Other chunks are given to zlib.
 */
function createChecksum(length: number): (chunk: Buffer, checksum: number) => number {
	let columns: readonly number[] | undefined;
	return (chunk, checksum) => {
		if (chunk.length !== length || !isZero(chunk)) return crc32(chunk, checksum);
		columns ??= Array.from({ length: 32 }, (_none, bit) => ~crc32(chunk, ~(1 << bit) >>> 0));
		const register = ~checksum;
		return ~columns.reduce((sum, column, bit) => ((register >>> bit) & 1 ? sum ^ column : sum), 0) >>> 0;
	};
}

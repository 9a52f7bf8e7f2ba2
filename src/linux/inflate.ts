import { constants, crc32, deflateRawSync } from 'node:zlib';

/** Inflates one raw DEFLATE stream (RFC 1951) after the other, synchronously, into memory that it uses again and again. */
export interface Inflater {
	/** Begins a stream. What another one left unread is forgotten. */
	readonly reset: () => void;
	/**
	 * What `input`, the next bytes of the stream, inflates to: pieces that are valid until the next one is asked for. Returns how many
	 * bytes at the end of `input` follow the stream, or undefined while it goes on. Throws an Error with code Z_DATA_ERROR.
	 */
	readonly write: (input: Buffer) => Generator<Buffer, number | undefined, undefined>;
	/** The CRC-32 (RFC 1952) of `chunk` after what has the one `before`. */
	readonly crc32: (chunk: Buffer, before: number) => number;
}

type Native = (...args: readonly unknown[]) => number;

const LIBRARY = 'libisal.so.2';
const CHUNK = 256 * 1024;
/** The library's own state has less than 100 KiB in every version so far. */
const STATE_SIZE = 512 * 1024;
/** Fields of `struct inflate_state` (igzip_lib.h, version 2); the others are never touched. */
const NEXT_OUT = 0;
const AVAILABLE_OUT = 8;
const NEXT_IN = 16;
const AVAILABLE_IN = 32;
/** Bits that were taken from the input and not used. */
const READ_IN_LENGTH = 36;
const BLOCK_STATE = 21_160;
const ISAL_BLOCK_FINISH = 5;

let loaded: Promise<Inflater | undefined> | undefined;

/**
 * Intel's ISA-L, which inflates at twice the speed of zlib, where the host has it and it agrees with zlib in a trial; else undefined.
 * One for each thread, for one stream at a time.
 */
export function loadInflater(): Promise<Inflater | undefined> {
	loaded ??= bind().catch(() => undefined);
	return loaded;
}

async function bind(): Promise<Inflater | undefined> {
	const { default: koffi } = await import('koffi');
	const library = koffi.load(LIBRARY);
	const init = library.func('void isal_inflate_init(void *state)') as Native;
	const reset = library.func('void isal_inflate_reset(void *state)') as Native;
	const inflate = library.func('int isal_inflate(void *state)') as Native;
	const checksum = library.func('uint32_t crc32_gzip_refl(uint32_t before, void *chunk, uint64_t size)') as Native;
	const allocate = (size: number) => {
		const pointer: unknown = koffi.alloc('uint8_t', size);
		return { pointer, address: koffi.address(pointer), bytes: Buffer.from(koffi.view(pointer, size)).fill(0) };
	};
	const [state, input, output] = [allocate(STATE_SIZE), allocate(CHUNK), allocate(CHUNK)];
	init(state.pointer);
	const step = (): Step => {
		state.bytes.writeBigUInt64LE(output.address, NEXT_OUT);
		state.bytes.writeUInt32LE(CHUNK, AVAILABLE_OUT);
		const status = inflate(state.pointer);
		if (status < 0) throw Object.assign(new Error(`the data is damaged (${status})`), { code: 'Z_DATA_ERROR' });
		const room = state.bytes.readUInt32LE(AVAILABLE_OUT);
		const left = state.bytes.readUInt32LE(AVAILABLE_IN) + (state.bytes.readInt32LE(READ_IN_LENGTH) >> 3);
		const hasEnded = state.bytes.readUInt32LE(BLOCK_STATE) === ISAL_BLOCK_FINISH;
		return { piece: output.bytes.subarray(0, CHUNK - room), isFull: room === 0, left: hasEnded ? left : undefined };
	};
	const begin = (chunk: Buffer) => {
		chunk.copy(input.bytes);
		state.bytes.writeBigUInt64LE(input.address, NEXT_IN);
		state.bytes.writeUInt32LE(chunk.length, AVAILABLE_IN);
	};
	const inflater: Inflater = {
		reset: () => void reset(state.pointer),
		write: (chunk) => inflateChunk(chunk, begin, step),
		crc32: (chunk, before) => checksum(before, chunk, chunk.length),
	};
	return agreesWithZlib(inflater) ? inflater : undefined;
}

interface Step {
	readonly piece: Buffer;
	/** Whether there may be more output without more input. */
	readonly isFull: boolean;
	/** Bytes of the input that follow the stream, when it has ended. */
	readonly left: number | undefined;
}

function* inflateChunk(
	chunk: Buffer,
	begin: (part: Buffer) => void,
	step: () => Step,
): Generator<Buffer, number | undefined, undefined> {
	for (let at = 0; at < chunk.length; at += CHUNK) {
		const part = chunk.subarray(at, at + CHUNK);
		begin(part);
		let taken = step();
		while (taken.isFull && taken.left === undefined) {
			yield taken.piece;
			taken = step();
		}
		if (taken.piece.length > 0) yield taken.piece;
		if (taken.left !== undefined) return taken.left + chunk.length - at - part.length;
	}
	return undefined;
}

/** Guards against a library of another layout: stored, fixed and dynamic blocks, input in pieces, and what follows a stream. */
function agreesWithZlib(inflater: Inflater): boolean {
	const text = Buffer.from(Array.from({ length: 12_000 }, (_, index) => ((index * index) % 251) ^ (index >> 5)));
	const { Z_FIXED, Z_DEFAULT_STRATEGY } = constants;
	const streams = [
		deflateRawSync(text, { level: 0 }),
		deflateRawSync(text, { level: 6, strategy: Z_FIXED }),
		deflateRawSync(text, { level: 6, strategy: Z_DEFAULT_STRATEGY }),
	];
	return crc32(text) === inflater.crc32(text, 0) && streams.every((stream) => inflatesTo(text, stream, inflater));
}

function inflatesTo(text: Buffer, stream: Buffer, inflater: Inflater): boolean {
	const half = stream.length >> 1;
	const parts: Buffer[] = [];
	const write = (input: Buffer) => {
		const pieces = inflater.write(input);
		for (let next = pieces.next(); ; next = pieces.next()) {
			if (next.done === true) return next.value;
			parts.push(Buffer.from(next.value));
		}
	};
	inflater.reset();
	const before = write(stream.subarray(0, half));
	const after = write(Buffer.concat([stream.subarray(half), Buffer.from('after')]));
	return before === undefined && after === 5 && Buffer.concat(parts).equals(text);
}

import { damaged } from './decompress.js';

/** Raw DEFLATE and CRC-32 from elsewhere; what `linux/inflate.ts` gives. */
export interface Inflater {
	readonly reset: () => void;
	readonly write: (input: Buffer) => Generator<Buffer, number | undefined, undefined>;
	readonly crc32: (chunk: Buffer, before: number) => number;
}

type Part = 'header' | 'body' | 'trailer' | 'padding';

const FIXED_HEADER = 10;
const TRAILER = 8;
/** Far more than the name, comment and extra field of any honest file. */
const MAX_HEADER = 128 * 1024;
const FIRST_WINDOW = 512;
const MAX_WINDOW = 1 << 30;
const FLAG_HEADER_CRC = 2;
const FLAG_EXTRA = 4;
const FLAG_NAME = 8;
const FLAG_COMMENT = 16;
const KNOWN_FLAGS = 0x1f;
const NONE = Buffer.alloc(0);

/**
 * The uncompressed bytes of the gzip stream `input` (RFC 1952): all its members, then zeros or nothing. As `decompress` does, throws
 * LAYER_INVALID on damaged input and gives chunks that are valid until the next one is asked for. `input` is read to its end.
 */
export async function* gunzip(
	input: Iterable<Buffer> | AsyncIterable<Buffer>,
	inflater: Inflater,
	signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
	const members = createMembers(inflater);
	for await (const chunk of input) {
		signal.throwIfAborted();
		yield* members.write(chunk);
	}
	members.end();
}

interface Members {
	readonly write: (chunk: Buffer) => Generator<Buffer, void, undefined>;
	readonly end: () => void;
}

function createMembers(inflater: Inflater): Members {
	let part: Part = 'header';
	let held = NONE;
	let count = 0;
	let crc = 0;
	let size = 0;
	/** What the inflater gets of a chunk: it copies that, and the next member may begin after a few bytes. */
	let window = FIRST_WINDOW;
	const header = (rest: Buffer): Buffer => {
		const all = held.length === 0 ? rest : Buffer.concat([held, rest]);
		if (count > 0 && all[0] === 0) {
			part = 'padding';
			return NONE;
		}
		const length = headerLength(all, inflater);
		held = length === undefined ? Buffer.from(all) : NONE;
		if (length === undefined) return NONE;
		inflater.reset();
		[part, crc, size, window] = ['body', 0, 0, FIRST_WINDOW];
		return all.subarray(length);
	};
	const body = function* (rest: Buffer): Generator<Buffer, Buffer, undefined> {
		const piece = rest.subarray(0, window);
		window = Math.min(window * 4, MAX_WINDOW);
		const left = yield* inflated(piece);
		if (left !== undefined) part = 'trailer';
		return rest.subarray(piece.length - (left ?? 0));
	};
	const inflated = function* (rest: Buffer): ReturnType<Inflater['write']> {
		const pieces = inflater.write(rest);
		for (let next = nextOf(pieces); ; next = nextOf(pieces)) {
			if (next.done === true) return next.value;
			crc = inflater.crc32(next.value, crc);
			size = (size + next.value.length) % 2 ** 32;
			yield next.value;
		}
	};
	const trailer = (rest: Buffer): Buffer => {
		const all = Buffer.concat([held, rest.subarray(0, TRAILER - held.length)]);
		const after = rest.subarray(all.length - held.length);
		held = all.length < TRAILER ? all : NONE;
		if (all.length < TRAILER) return after;
		if (all.readUInt32LE(0) !== crc || all.readUInt32LE(4) !== size) throw invalid('incorrect data check');
		part = 'header';
		count++;
		return after;
	};
	return {
		write: function* (chunk) {
			for (let rest = chunk; rest.length > 0 && part !== 'padding'; ) {
				if (part === 'body') rest = yield* body(rest);
				else rest = part === 'header' ? header(rest) : trailer(rest);
			}
		},
		end: () => {
			const isWhole = part === 'padding' || (part === 'header' && held.length === 0 && count > 0);
			if (!isWhole) throw invalid('unexpected end of file');
		},
	};
}

function nextOf(pieces: ReturnType<Inflater['write']>): IteratorResult<Buffer, number | undefined> {
	try {
		return pieces.next();
	} catch (error) {
		throw damaged('gzip', error);
	}
}

/** The length of the header that `bytes` begin with; undefined while they hold a part of it only. */
function headerLength(bytes: Buffer, inflater: Inflater): number | undefined {
	const begins = Buffer.from([0x1f, 0x8b, 8]).subarray(0, bytes.length);
	if (!bytes.subarray(0, begins.length).equals(begins)) throw invalid('incorrect header check');
	const flags = bytes[3];
	if (flags === undefined) return undefined;
	if (flags > KNOWN_FLAGS) throw invalid('unknown header flags set');
	const hasCrc = (flags & FLAG_HEADER_CRC) !== 0;
	const fields = fieldsEnd(bytes, flags);
	const end = fields + (hasCrc ? 2 : 0);
	if (bytes.length < end && bytes.length >= MAX_HEADER) throw invalid('a header is larger than 128 KiB');
	if (bytes.length < end) return undefined;
	const matches = !hasCrc || bytes.readUInt16LE(fields) === (inflater.crc32(bytes.subarray(0, fields), 0) & 0xffff);
	if (!matches) throw invalid('header crc mismatch');
	return end;
}

/** Where the optional fields end; beyond any header where that is not known yet. */
function fieldsEnd(bytes: Buffer, flags: number): number {
	let end = FIXED_HEADER;
	if ((flags & FLAG_EXTRA) !== 0) end += bytes.length < end + 2 ? MAX_HEADER : 2 + bytes.readUInt16LE(end);
	for (const flag of [FLAG_NAME, FLAG_COMMENT]) if ((flags & flag) !== 0) end = textEnd(bytes, end);
	return end;
}

function textEnd(bytes: Buffer, start: number): number {
	const zero = bytes.indexOf(0, start);
	return zero < 0 ? start + MAX_HEADER : zero + 1;
}

function invalid(reason: string): Error {
	return damaged('gzip', new Error(reason));
}

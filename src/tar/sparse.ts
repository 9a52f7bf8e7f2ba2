import { paddingOf } from './entry.js';
import { invalid, numberField, type PaxRecords, typeFlag } from './header.js';

type Output = (chunk: Buffer) => void;

/** A file whose holes an archive left out. What is stored is written to it, and comes out with the holes as zeros. */
export interface SparseFile {
	/** Bytes, holes included. */
	readonly size: number;
	/** Whether the next block of the archive is not content but more of the map. */
	readonly isExtended: () => boolean;
	readonly extend: (block: Buffer) => void;
	readonly write: (chunk: Buffer, output: Output) => void;
	/** Ends the file with its last hole. Throws LAYER_INVALID when map and content do not agree. */
	readonly end: (output: Output) => void;
}

/** A run of content, both in bytes. */
interface Segment {
	readonly offset: number;
	readonly length: number;
}

const MAX_SEGMENTS = 1 << 18;
const MAX_MAP_DIGITS = 20;
const OLD_SEGMENTS = 4;
const EXTENSION_SEGMENTS = 21;
const SEGMENT_SIZE = 24;
const ZEROS = Buffer.alloc(64 * 1024);
const NEWLINE = 0x0a;

/**
 * The sparse file of a header block and its pax records, as old GNU tar (type S), and GNU tar with pax 0.0, 0.1 and 1.0 write it;
 * undefined for any other entry. Throws LAYER_INVALID. (GNU tar manual, "Storing Sparse Files".)
 */
export function openSparseFile(block: Buffer, records: PaxRecords): SparseFile | undefined {
	if (typeFlag(block) === 'S') return openOld(block);
	const [major, minor] = [records.get('GNU.sparse.major'), records.get('GNU.sparse.minor')].map(String);
	if (major === '1' && minor === '0') return openWithMap(requireNumber(records, 'GNU.sparse.realsize'));
	const map = records.get('GNU.sparse.map')?.toString('latin1');
	if (map === undefined && !records.has('GNU.sparse.size')) {
		if (major !== 'undefined') throw invalid('it holds a sparse file of an unknown version');
		return undefined;
	}
	const numbers = map === undefined || map === '' ? [] : map.split(',').map(readDecimal);
	return openWithSegments(pairsOf(numbers), requireNumber(records, 'GNU.sparse.size'));
}

function openOld(block: Buffer): SparseFile {
	const segments: Segment[] = [];
	const take = (from: Buffer, start: number, count: number) => {
		for (let index = 0; index < count; index++) {
			const at = start + index * SEGMENT_SIZE;
			if (from[at] === 0) return;
			segments.push({ offset: numberField(from, at, 12), length: numberField(from, at + 12, 12) });
		}
		if (segments.length > MAX_SEGMENTS) throw tooMany();
	};
	take(block, 386, OLD_SEGMENTS);
	let extended = block[482] !== 0 && block[482] !== undefined;
	const file = openWithSegments(segments, numberField(block, 483, 12));
	return {
		...file,
		isExtended: () => extended,
		extend: (next) => {
			take(next, 0, EXTENSION_SEGMENTS);
			extended = next[EXTENSION_SEGMENTS * SEGMENT_SIZE] !== 0;
		},
	};
}

/** pax 1.0: the map stands before the content, as lines of decimal numbers padded to whole blocks. */
function openWithMap(size: number): SparseFile {
	const segments: Segment[] = [];
	const content = openWithSegments(segments, size);
	const numbers: number[] = [];
	let digits = '';
	let read = 0;
	let isMap = true;
	const takeByte = (byte: number) => {
		read++;
		if (byte !== NEWLINE) {
			digits += String.fromCharCode(byte);
			if (digits.length > MAX_MAP_DIGITS) throw invalid('the map of a sparse file is malformed');
			return;
		}
		numbers.push(readDecimal(digits));
		digits = '';
		const [count = 0] = numbers;
		if (count > MAX_SEGMENTS) throw tooMany();
		if (numbers.length !== 1 + 2 * count) return;
		segments.push(...pairsOf(numbers.slice(1)));
		isMap = false;
	};
	return {
		...content,
		write: (chunk, output) => {
			let at = 0;
			while (isMap && at < chunk.length) takeByte(chunk[at++] ?? 0);
			if (isMap) return;
			const padding = Math.min(chunk.length - at, paddingOf(read));
			read += padding;
			at += padding;
			if (at < chunk.length) content.write(chunk.subarray(at), output);
		},
		end: (output) => {
			if (isMap) throw invalid('the map of a sparse file is cut short');
			content.end(output);
		},
	};
}

function openWithSegments(segments: readonly Segment[], size: number): SparseFile {
	if (!Number.isSafeInteger(size) || size < 0) throw invalid('the size of a sparse file is out of range');
	let index = 0;
	let position = 0;
	let left = 0;
	const fill = (end: number, output: Output) => {
		if (end < position || end > size) throw invalid('the map of a sparse file makes no sense');
		for (; position < end; position += Math.min(ZEROS.length, end - position)) {
			output(ZEROS.subarray(0, Math.min(ZEROS.length, end - position)));
		}
	};
	/** Goes on to the next segment that has content. */
	const advance = (output: Output) => {
		for (let segment = segments[index]; left === 0 && segment !== undefined; segment = segments[index]) {
			index++;
			fill(segment.offset, output);
			if (segment.length > size - position) throw invalid('the map of a sparse file makes no sense');
			left = segment.length;
		}
	};
	return {
		size,
		isExtended: () => false,
		extend: () => undefined,
		write: (chunk, output) => {
			for (let at = 0; at < chunk.length; ) {
				advance(output);
				if (left === 0) throw invalid('a sparse file has more content than its map');
				const part = chunk.subarray(at, at + left);
				output(part);
				at += part.length;
				left -= part.length;
				position += part.length;
			}
		},
		end: (output) => {
			advance(output);
			if (left > 0) throw invalid('a sparse file has less content than its map');
			fill(size, output);
		},
	};
}

function pairsOf(numbers: readonly number[]): readonly Segment[] {
	if (numbers.length % 2 !== 0) throw invalid('the map of a sparse file is malformed');
	if (numbers.length > 2 * MAX_SEGMENTS) throw tooMany();
	return Array.from({ length: numbers.length / 2 }, (_none, index) => ({
		offset: numbers[2 * index] ?? 0,
		length: numbers[2 * index + 1] ?? 0,
	}));
}

function requireNumber(records: PaxRecords, keyword: string): number {
	return readDecimal(records.get(keyword)?.toString('latin1') ?? '');
}

function readDecimal(text: string): number {
	const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
	if (!Number.isSafeInteger(number)) throw invalid('the map of a sparse file is malformed');
	return number;
}

function tooMany(): Error {
	return invalid('a sparse file has too many parts');
}

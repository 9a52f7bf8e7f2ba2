import { BLOCK_SIZE, paddingOf, type TarEntry } from './entry.js';
import { isZero } from './gzip.js';
import { bodySize, checkHeader, invalid, NO_RECORDS, type PaxRecords, readEntry, readPax, typeFlag } from './header.js';
import { openSparseFile, type SparseFile } from './sparse.js';

/** Receives a tar stream, synchronously and in order: `entry`, then for files its `data` chunks, then `close`. */
export interface TarVisitor {
	readonly entry: (entry: TarEntry) => void;
	/** A part of the current file. The bytes are only valid during the call. */
	readonly data: (chunk: Buffer) => void;
	readonly close: () => void;
}

/** A push parser: `write` takes the stream in chunks of any size, `end` throws LAYER_INVALID if it was cut short. */
export interface TarReader {
	readonly write: (chunk: Buffer) => void;
	readonly end: () => void;
}

const META_LIMIT = 1 << 20;
/** A few bytes can ask for any number of zeros. */
const MAX_HOLES = 8 * 2 ** 30;

interface State {
	mode: 'header' | 'map' | 'body' | 'meta' | 'skip' | 'ended';
	remaining: number;
	padding: number;
	metaFlag: string;
	meta: Buffer[];
	zeroBlocks: number;
	records: PaxRecords;
	longPath: string | undefined;
	longLink: string | undefined;
	/** The current file, when it is sparse. */
	sparse: SparseFile | undefined;
	/** Bytes of holes that may yet come. */
	holes: number;
}

/**
 * Reads ustar, pax and GNU archives. Sparse files come with their holes as zeros, of which there may be 8 GiB. Extended headers are limited to 1 MiB and global pax headers are ignored, as Go's archive/tar
 * does with all but comments. What follows the end-of-archive marker is ignored.
 */
export function createTarReader(visitor: TarVisitor): TarReader {
	const state: State = {
		mode: 'header',
		remaining: 0,
		padding: 0,
		metaFlag: '',
		meta: [],
		zeroBlocks: 0,
		records: NO_RECORDS,
		longPath: undefined,
		longLink: undefined,
		sparse: undefined,
		holes: MAX_HOLES,
	};
	const partial = Buffer.alloc(BLOCK_SIZE);
	let held = 0;

	const takeHeader = (chunk: Buffer, at: number): number => {
		if (held === 0 && chunk.length - at >= BLOCK_SIZE) {
			readBlock(state, chunk.subarray(at, at + BLOCK_SIZE), visitor);
			return at + BLOCK_SIZE;
		}
		const taken = Math.min(BLOCK_SIZE - held, chunk.length - at);
		chunk.copy(partial, held, at, at + taken);
		held += taken;
		if (held === BLOCK_SIZE) {
			held = 0;
			readBlock(state, partial, visitor);
		}
		return at + taken;
	};

	return {
		write: (chunk) => {
			let at = 0;
			while (at < chunk.length && state.mode !== 'ended') {
				const isBlock = state.mode === 'header' || state.mode === 'map';
				at = isBlock ? takeHeader(chunk, at) : takeBody(state, chunk, at, visitor);
			}
		},
		end: () => {
			const pending = state.records !== NO_RECORDS || state.longPath !== undefined || state.longLink !== undefined;
			const complete = state.mode === 'ended' || (state.mode === 'header' && held === 0 && !pending);
			if (!complete) throw invalid('it ends in the middle of an entry');
		},
	};
}

function readBlock(state: State, block: Buffer, visitor: TarVisitor): void {
	if (state.mode === 'map') {
		state.sparse?.extend(block);
		beginBody(state, visitor);
	} else {
		readHeader(state, block, visitor);
	}
}

function readHeader(state: State, block: Buffer, visitor: TarVisitor): void {
	if (isZero(block)) {
		if (++state.zeroBlocks === 2) state.mode = 'ended';
		return;
	}
	state.zeroBlocks = 0;
	checkHeader(block);
	const flag = typeFlag(block);
	const size = bodySize(block, state.records);
	state.remaining = size;
	state.padding = paddingOf(size);
	if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
		beginMeta(state, flag, size);
		return;
	}
	state.sparse = openSparse(state, block, size);
	const { longPath, longLink, sparse } = state;
	const entry = readEntry(block, state.records, { longPath, longLink, realSize: sparse?.size });
	state.records = NO_RECORDS;
	state.longPath = undefined;
	state.longLink = undefined;
	visitor.entry(entry);
	beginBody(state, visitor);
}

function openSparse(state: State, block: Buffer, stored: number): SparseFile | undefined {
	const file = openSparseFile(block, state.records);
	if (file === undefined) return undefined;
	state.holes -= Math.max(0, file.size - stored);
	if (state.holes < 0) throw invalid('its sparse files are larger than 8 GiB');
	return file;
}

function beginBody(state: State, visitor: TarVisitor): void {
	if (state.sparse?.isExtended() === true) state.mode = 'map';
	else if (state.remaining > 0) state.mode = 'body';
	else endBody(state, visitor);
}

function endBody(state: State, visitor: TarVisitor): void {
	state.sparse?.end(visitor.data);
	state.sparse = undefined;
	state.mode = 'header';
	visitor.close();
}

function beginMeta(state: State, flag: string, size: number): void {
	if (size > META_LIMIT) throw invalid('an extended header is larger than 1 MiB');
	state.metaFlag = flag;
	state.meta = [];
	state.mode = size === 0 ? 'header' : 'meta';
}

function takeBody(state: State, chunk: Buffer, at: number, visitor: TarVisitor): number {
	const taken = Math.min(state.remaining, chunk.length - at);
	if (taken > 0) {
		const part = chunk.subarray(at, at + taken);
		if (state.mode === 'body') writeBody(state, part, visitor);
		else if (state.mode === 'meta') state.meta.push(Buffer.from(part));
		state.remaining -= taken;
	}
	if (state.remaining > 0) return at + taken;
	if (state.mode === 'body') endBody(state, visitor);
	else if (state.mode === 'meta') endMeta(state);
	state.mode = state.padding === 0 ? 'header' : 'skip';
	state.remaining = state.padding;
	state.padding = 0;
	return at + taken;
}

function writeBody({ sparse }: State, part: Buffer, visitor: TarVisitor): void {
	if (sparse === undefined) visitor.data(part);
	else sparse.write(part, visitor.data);
}

function endMeta(state: State): void {
	const body = Buffer.concat(state.meta);
	state.meta = [];
	if (state.metaFlag === 'x') state.records = readPax(body);
	else if (state.metaFlag === 'L') state.longPath = cutAtZero(body);
	else if (state.metaFlag === 'K') state.longLink = cutAtZero(body);
}

function cutAtZero(body: Buffer): string {
	const zero = body.indexOf(0);
	return body.toString('latin1', 0, zero < 0 ? body.length : zero);
}

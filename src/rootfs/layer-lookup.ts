import { randomInt } from 'node:crypto';
import type { RootPath } from '../root-path.js';
import { parseIndexRow } from './layer-index.js';
import type { LayerEntry } from './tree.js';

/** Finds entries of a layer one by one, without reading its index as a whole. */
export interface LayerLookup {
	readonly find: (path: RootPath) => LayerEntry | undefined;
}

/** Where the row of each path begins in the text of an index: a hash table of numbers, so that nothing of it needs to be parsed. */
export interface RowTable {
	/** `offset` in bytes, above 0. */
	readonly add: (path: RootPath, offset: number) => void;
	/** The table as it is kept beside a text of so many bytes. */
	readonly finish: (textBytes: number) => Uint8Array;
}

/** "s2o" and the version of the format, in the byte order of this machine: another's is not understood. */
const MAGIC = 0x0232_6f73;
const HEADER = 4;
const SLOT = 2;
/** Half of the slots are free, so a path is found after a few; more say that the table is damaged, or that its paths were chosen to collide. */
const MAX_STEPS = 256;
const NEWLINE = 0x0a;
const COMMA = 0x2c;

/** A table for `count` rows. One whose paths collide too often is none: whoever made them must not keep us busy. */
export function createRowTable(count: number): RowTable {
	const capacity = 2 ** Math.ceil(Math.log2(Math.max(2, 2 * count)));
	const words = new Uint32Array(HEADER + SLOT * capacity);
	// Nobody can know which paths collide with a number that is not known yet.
	const seed = randomInt(2 ** 32);
	let isTooFull = false;
	return {
		add: (path, offset) => {
			if (isTooFull) return;
			const hash = hashOf(path, seed);
			const free = firstSlot(hash, capacity, (at) => words[at + 1] === 0);
			if (free === undefined) isTooFull = true;
			else words.set([hash, offset], free);
		},
		finish: (textBytes) => {
			words.set([MAGIC, capacity, seed, textBytes]);
			return isTooFull ? new Uint8Array() : new Uint8Array(words.buffer);
		},
	};
}

/** Reads rows of the index `text` by its `table`; undefined when that is none, or of another text. `find` throws for a damaged row or table. */
export function openLayerLookup(text: Buffer, table: Uint8Array): LayerLookup | undefined {
	if (table.length % 4 !== 0 || table.length < 4 * HEADER) return undefined;
	// A copy begins where numbers may.
	const words = new Uint32Array(new Uint8Array(table).buffer);
	const [magic, capacity = 0, seed = 0, textBytes] = words;
	if (magic !== MAGIC || textBytes !== text.length || words.length !== HEADER + SLOT * capacity) return undefined;
	return {
		find: (path) => {
			const hash = hashOf(path, seed);
			let entry: LayerEntry | undefined;
			const isThere = (at: number) => {
				const [found, read] = parseIndexRow(rowAt(text, words[at + 1] ?? 0));
				if (found === path) entry = read;
				return found === path;
			};
			const slot = firstSlot(hash, capacity, (at) => words[at + 1] === 0 || (words[at] === hash && isThere(at)));
			if (slot === undefined) throw new Error('the table has no free slot');
			return entry;
		},
	};
}

/** The first slot at which a path with this `hash` may be and that `isWanted`. `capacity` is a power of two. */
function firstSlot(hash: number, capacity: number, isWanted: (at: number) => boolean): number | undefined {
	for (let step = 0; step < MAX_STEPS; step++) {
		const at = HEADER + SLOT * ((hash + step) & (capacity - 1));
		if (isWanted(at)) return at;
	}
	return undefined;
}

function rowAt(text: Buffer, offset: number): string {
	const end = text.indexOf(NEWLINE, offset);
	return text.toString('utf8', offset, text[end - 1] === COMMA ? end - 1 : end);
}

/** FNV-1a over the bytes of `path`, from `seed` on: a number of 32 bits. Who knows the seed can find paths that collide. */
export function hashOf(path: RootPath, seed: number): number {
	let hash = seed;
	for (let at = 0; at < path.length; at++) hash = Math.imul(hash ^ path.charCodeAt(at), 0x0100_0193);
	return hash >>> 0;
}

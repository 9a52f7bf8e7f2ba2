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
const MAGIC = 0x0132_6f73;
const HEADER = 4;
const SLOT = 2;
const NEWLINE = 0x0a;
const COMMA = 0x2c;

/** A table for `count` rows. */
export function createRowTable(count: number): RowTable {
	const capacity = 2 ** Math.ceil(Math.log2(Math.max(2, 2 * count)));
	const words = new Uint32Array(HEADER + SLOT * capacity);
	return {
		add: (path, offset) => {
			const hash = hashOf(path);
			let slot = hash & (capacity - 1);
			while (words[HEADER + SLOT * slot + 1] !== 0) slot = (slot + 1) & (capacity - 1);
			words.set([hash, offset], HEADER + SLOT * slot);
		},
		finish: (textBytes) => {
			words.set([MAGIC, capacity, count, textBytes]);
			return new Uint8Array(words.buffer);
		},
	};
}

/** Reads rows of the index `text` by its `table`; undefined when that is none, or of another text. `find` throws for a damaged row. */
export function openLayerLookup(text: Buffer, table: Uint8Array): LayerLookup | undefined {
	if (table.length % 4 !== 0 || table.length < 4 * HEADER) return undefined;
	// A copy begins where numbers may.
	const words = new Uint32Array(new Uint8Array(table).buffer);
	const [magic, capacity = 0, , textBytes] = words;
	if (magic !== MAGIC || textBytes !== text.length || words.length !== HEADER + SLOT * capacity) return undefined;
	return {
		find: (path) => {
			const hash = hashOf(path);
			for (let slot = hash & (capacity - 1); ; slot = (slot + 1) & (capacity - 1)) {
				const offset = words[HEADER + SLOT * slot + 1] ?? 0;
				if (offset === 0) return undefined;
				if (words[HEADER + SLOT * slot] !== hash) continue;
				const [found, entry] = parseIndexRow(rowAt(text, offset));
				if (found === path) return entry;
			}
		},
	};
}

function rowAt(text: Buffer, offset: number): string {
	const end = text.indexOf(NEWLINE, offset);
	return text.toString('utf8', offset, text[end - 1] === COMMA ? end - 1 : end);
}

/** FNV-1a over the bytes of `path`. */
function hashOf(path: RootPath): number {
	let hash = 0x811c_9dc5;
	for (let at = 0; at < path.length; at++) hash = Math.imul(hash ^ path.charCodeAt(at), 0x0100_0193);
	return hash >>> 0;
}

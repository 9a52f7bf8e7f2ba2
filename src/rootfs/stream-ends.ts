import { latin1Path, printablePath } from '../root-path.js';

/** The first and the last bytes of a stream that should be an archive: where scripts print what they should not. */
export interface StreamEnds {
	readonly note: (chunk: Buffer) => void;
	/** The line of text that the stream begins with, quoted; undefined when it begins with something else. */
	readonly textBefore: () => string | undefined;
	/** The first line of the text that follows the zeros at the end of an archive, quoted. */
	readonly textAfter: () => string | undefined;
}

const HEAD = 512;
const TAIL = 16_384;
/** An archive ends in two blocks of zeros. */
const END = 1024;
const MAX_LINE = 100;

/** Watches a stream that has not begun. */
export function watchEnds(): StreamEnds {
	let [head, tail]: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
	return {
		note: (chunk) => {
			if (head.length < HEAD) head = Buffer.concat([head, chunk.subarray(0, HEAD - head.length)]);
			const kept = tail.subarray(Math.max(0, tail.length + chunk.length - TAIL));
			tail = Buffer.concat([kept, chunk.subarray(-TAIL)]);
		},
		textBefore: () => firstLine(head),
		textAfter: () => {
			const start = tail.lastIndexOf(0) + 1;
			const zeros = tail.subarray(Math.max(0, start - END), start);
			return zeros.length === END && zeros.every((byte) => byte === 0) ? firstLine(tail.subarray(start)) : undefined;
		},
	};
}

function firstLine(bytes: Buffer): string | undefined {
	const end = bytes.indexOf('\n');
	const line = end < 0 ? bytes : bytes.subarray(0, end);
	if (line.length === 0 || !line.every((byte) => byte === 9 || byte === 13 || (byte >= 32 && byte !== 127))) {
		return undefined;
	}
	return `"${printablePath(latin1Path(line.subarray(0, MAX_LINE).toString('latin1').trim()))}"`;
}

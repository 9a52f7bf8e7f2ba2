import { BuildError } from '../errors.js';
import { latin1Path } from '../root-path.js';
import { BLOCK_SIZE, type TarEntry, type TarEntryType, XATTR_PREFIX } from './entry.js';

/** Extended header records by keyword; values are bytes because xattrs are. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

export const NO_RECORDS: PaxRecords = new Map();

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const ZERO = 0x30;
const SEVEN = 0x37;
const TYPES: Readonly<Record<string, TarEntryType>> = {
	'\0': 'file',
	'0': 'file',
	'1': 'link',
	'2': 'symlink',
	'3': 'character',
	'4': 'block',
	'5': 'directory',
	'6': 'fifo',
	'7': 'file',
	S: 'file',
};

/** What of an entry stands neither in its header block nor in its pax records. */
export interface LearntElsewhere {
	readonly longPath: string | undefined;
	readonly longLink: string | undefined;
	readonly realSize: number | undefined;
}

/** The records of a sparse file's map in pax 0.0, one for each number. */
const SPARSE_NUMBERS: readonly string[] = ['GNU.sparse.offset', 'GNU.sparse.numbytes'];
const COMMA = Buffer.from(',');
/** Two for each of the parts that a sparse file may have. */
const MAX_SPARSE_NUMBERS = 1 << 19;
const SPARSE_MAP = 'GNU.sparse.map';

/** The type flag of a header block. */
export function typeFlag(block: Buffer): string {
	return String.fromCharCode(block[156] ?? 0);
}

/** Throws LAYER_INVALID when the checksum of a header block is wrong (POSIX.1-2017 pax, "ustar Interchange Format"). */
export function checkHeader(block: Buffer): void {
	let unsigned = 256;
	let signed = 256;
	for (let index = 0; index < BLOCK_SIZE; index++) {
		if (index >= 148 && index < 156) continue;
		const byte = block[index] ?? 0;
		unsigned += byte;
		signed += byte > 127 ? byte - 256 : byte;
	}
	const stored = numberField(block, 148, 8);
	if (stored !== unsigned && stored !== signed) throw invalid('the checksum of a header is wrong');
}

/**
 * A header block and its pax records as an entry, of which `longPath`, `longLink` and `realSize` (bytes, of a sparse file) were learnt
 * elsewhere. Throws LAYER_INVALID for types that a layer must not hold.
 */
export function readEntry(
	block: Buffer,
	records: PaxRecords,
	{ longPath, longLink, realSize }: LearntElsewhere,
): TarEntry {
	const type = typeOf(block);
	const path = text(records, 'GNU.sparse.name') ?? text(records, 'path') ?? longPath ?? headerPath(block);
	const isDirectory = type === 'directory' || (type === 'file' && path.endsWith('/'));
	const number = (keyword: string, start: number, length: number) =>
		paxNumber(records, keyword) ?? numberField(block, start, length);
	return {
		type: isDirectory ? 'directory' : type,
		path: latin1Path(path),
		linkPath: latin1Path(text(records, 'linkpath') ?? longLink ?? stringField(block, 157, 100)),
		mode: numberField(block, 100, 8) & 0o7777,
		uid: requireId(number('uid', 108, 8)),
		gid: requireId(number('gid', 116, 8)),
		size: type === 'file' && !isDirectory ? (realSize ?? requireSize(number('size', 124, 12))) : 0,
		mtime: requireTime(number('mtime', 136, 12)),
		deviceMajor: numberField(block, 329, 8),
		deviceMinor: numberField(block, 337, 8),
		xattrs: xattrsOf(records),
	};
}

/** Bytes that follow the header, whatever the type says (a directory may carry none, a hostile one may claim some). */
export function bodySize(block: Buffer, records: PaxRecords): number {
	const flag = typeFlag(block);
	if (flag >= '1' && flag <= '6') return 0;
	const isFile = flag === '\0' || flag === '0' || flag === '7';
	return requireSize((isFile ? paxNumber(records, 'size') : undefined) ?? numberField(block, 124, 12));
}

/** The records of a pax extended header body, parsed by their length, never by newline. Throws LAYER_INVALID. */
export function readPax(body: Buffer): PaxRecords {
	const records = new Map<string, Buffer>();
	const numbers: Buffer[] = [];
	let at = 0;
	while (at < body.length) {
		const space = body.indexOf(0x20, at);
		const length = space < 0 || space - at > 10 ? Number.NaN : Number(body.toString('latin1', at, space));
		const end = at + length;
		const equals = body.indexOf(0x3d, space);
		const whole =
			Number.isInteger(length) && end <= body.length && equals > space && equals < end && body[end - 1] === 0x0a;
		if (!whole) throw invalid('a pax record is malformed');
		addRecord(records, numbers, body.toString('latin1', space + 1, equals), body.subarray(equals + 1, end - 1));
		at = end;
	}
	if (numbers.length > 0) records.set(SPARSE_MAP, joinMap(records.get(SPARSE_MAP), numbers));
	return records;
}

/** Of records with one keyword the last counts, but for those of pax 0.0's map, which become the one record of 0.1. */
function addRecord(records: Map<string, Buffer>, numbers: Buffer[], keyword: string, value: Buffer): void {
	if (SPARSE_NUMBERS.includes(keyword)) {
		numbers.push(value);
		if (numbers.length > MAX_SPARSE_NUMBERS) throw invalid('a sparse file has too many parts');
		return;
	}
	if (keyword === SPARSE_MAP) numbers.length = 0;
	records.set(keyword, Buffer.from(value));
}

function joinMap(before: Buffer | undefined, numbers: readonly Buffer[]): Buffer {
	const all = before === undefined ? numbers : [before, ...numbers];
	return Buffer.concat(all.flatMap((number, index) => (index === 0 ? [number] : [COMMA, number])));
}

/** A LAYER_INVALID error about a tar stream. */
export function invalid(detail: string): BuildError {
	return new BuildError('LAYER_INVALID', `the layer's tar stream cannot be used: ${detail}`, {
		hint: 'The image is damaged or was written by a tool that breaks the tar format. Rebuild or re-push it.',
	});
}

function typeOf(block: Buffer): TarEntryType {
	const flag = typeFlag(block);
	const type = TYPES[flag];
	if (type !== undefined) return type;
	throw invalid(`it holds an entry of type ${JSON.stringify(flag)}, which is not supported`);
}

function headerPath(block: Buffer): string {
	const name = stringField(block, 0, 100);
	const isPosix = block.toString('latin1', 257, 263) === 'ustar\0';
	const prefix = isPosix ? stringField(block, 345, 155) : '';
	return prefix === '' ? name : `${prefix}/${name}`;
}

function stringField(block: Buffer, start: number, length: number): string {
	const limit = start + length;
	let end = start;
	while (end < limit && block[end] !== 0) end++;
	return end === start ? '' : block.toString('latin1', start, end);
}

/** A numeric field: octal text, or base 256 when the top bit is set (GNU). Throws LAYER_INVALID. */
export function numberField(block: Buffer, start: number, length: number): number {
	if (((block[start] ?? 0) & 0x80) !== 0) return binaryField(block, start, length);
	const limit = start + length;
	let value = 0;
	for (let at = start; at < limit; at++) {
		const byte = block[at] ?? 0;
		if (byte === 0) return value;
		if (byte < ZERO || byte > SEVEN) return spacedField(block, start, length);
		value = value * 8 + byte - ZERO;
	}
	return value;
}

/** An octal field with something else than digits in it, of which spaces are nothing unusual. */
function spacedField(block: Buffer, start: number, length: number): number {
	const digits = stringField(block, start, length).trim();
	if (digits === '') return 0;
	if (!/^[0-7]+$/.test(digits)) throw invalid(`the number ${JSON.stringify(digits)} in a header is not octal`);
	return Number.parseInt(digits, 8);
}

function binaryField(block: Buffer, start: number, length: number): number {
	const first = block[start] ?? 0;
	const negative = (first & 0x40) !== 0;
	let value = BigInt(negative ? first : first & 0x7f);
	for (let index = start + 1; index < start + length; index++) value = (value << 8n) | BigInt(block[index] ?? 0);
	if (negative) value -= 1n << BigInt(8 * length);
	const number = Number(value);
	if (!Number.isSafeInteger(number)) throw invalid('a number in a header is out of range');
	return number;
}

/** An empty value takes a record back (POSIX.1-2017 pax, "pax Extended Header"). */
function text(records: PaxRecords, keyword: string): string | undefined {
	const value = records.get(keyword)?.toString('latin1');
	return value === '' ? undefined : value;
}

function paxNumber(records: PaxRecords, keyword: string): number | undefined {
	const value = text(records, keyword);
	if (value === undefined) return undefined;
	if (!/^-?\d+(?:\.\d*)?$/.test(value)) throw invalid(`the pax record ${keyword} is not a number`);
	return Number(value);
}

function requireSize(size: number): number {
	if (!Number.isSafeInteger(size) || size < 0) throw invalid('the size of an entry is negative or too large');
	return size;
}

/** A time beyond what the system calls take would end in an error of theirs. */
function requireTime(seconds: number): number {
	if (!Number.isSafeInteger(Math.floor(seconds))) throw invalid('the time of an entry is out of range');
	return seconds;
}

/** Ids are unsigned 32-bit and all ones means "leave as it is" to chown(2), which would keep our own owner (CVE-2024-40635). */
function requireId(id: number): number {
	if (!Number.isInteger(id) || id < 0 || id >= 0xffffffff)
		throw invalid(`the owner ${String(id)} of an entry is out of range`);
	return id;
}

function xattrsOf(records: PaxRecords): ReadonlyMap<string, Buffer> {
	if (records.size === 0) return NO_XATTRS;
	const xattrs = new Map<string, Buffer>();
	for (const [keyword, value] of records) {
		if (keyword.startsWith(XATTR_PREFIX)) xattrs.set(keyword.slice(XATTR_PREFIX.length), value);
	}
	return xattrs.size === 0 ? NO_XATTRS : xattrs;
}

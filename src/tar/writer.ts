import { isUtf8 } from 'node:buffer';
import { latin1Path, ROOT } from '../root-path.js';
import { BLOCK_SIZE, paddingOf, type TarEntry, type TarEntryType, XATTR_PREFIX } from './entry.js';

const FLAGS: Readonly<Record<TarEntryType, string>> = {
	file: '0',
	link: '1',
	symlink: '2',
	character: '3',
	block: '4',
	directory: '5',
	fifo: '6',
};
const NAME_LENGTH = 100;
const MAX_OCTAL_ID = 0o7777777;
const MAX_OCTAL_SIZE = 0o77777777777;

const NO_RECORDS: readonly Buffer[] = [];
const ZERO = 0x30;

/** Two zero blocks: the end of an archive. */
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK_SIZE);

/**
 * The header of `entry`: ustar, preceded by a pax header only for what ustar cannot say (long names, large ids and sizes, times
 * before 1970, xattrs). Equal entries give equal bytes: records are sorted, names are never split, times are whole seconds.
 */
export function writeHeader(entry: TarEntry): Buffer {
	const records = paxRecords(entry);
	const header = ustarHeader(entry);
	if (records.length === 0) return header;
	const body = Buffer.concat(records);
	const pax = ustarHeader({
		...entry,
		type: 'file',
		path: latin1Path(paxName(entry.path)),
		linkPath: ROOT,
		mode: 0o644,
		uid: 0,
		gid: 0,
		size: body.length,
		mtime: 0,
	});
	pax[156] = 'x'.charCodeAt(0);
	writeChecksum(pax);
	return Buffer.concat([pax, body, Buffer.alloc(paddingOf(body.length)), header]);
}

function ustarHeader(entry: TarEntry): Buffer {
	const block = Buffer.allocUnsafe(BLOCK_SIZE).fill(0);
	const size = entry.type === 'file' ? entry.size : 0;
	block.write(entry.path.slice(0, NAME_LENGTH), 0, 'latin1');
	writeOctal(block, 100, 8, entry.mode);
	writeOctal(block, 108, 8, entry.uid <= MAX_OCTAL_ID ? entry.uid : 0);
	writeOctal(block, 116, 8, entry.gid <= MAX_OCTAL_ID ? entry.gid : 0);
	writeOctal(block, 124, 12, size <= MAX_OCTAL_SIZE ? size : 0);
	writeOctal(block, 136, 12, isOctalTime(entry.mtime) ? Math.floor(entry.mtime) : 0);
	block.write(FLAGS[entry.type], 156, 'latin1');
	block.write(entry.linkPath.slice(0, NAME_LENGTH), 157, 'latin1');
	block.write('ustar\x0000', 257, 'latin1');
	writeOctal(block, 329, 8, entry.deviceMajor);
	writeOctal(block, 337, 8, entry.deviceMinor);
	writeChecksum(block);
	return block;
}

function paxRecords(entry: TarEntry): readonly Buffer[] {
	if (isPlain(entry)) return NO_RECORDS;
	const records = new Map<string, Buffer>();
	const add = (keyword: string, value: string | number) => records.set(keyword, Buffer.from(String(value), 'latin1'));
	if (entry.path.length > NAME_LENGTH) add('path', entry.path);
	if (entry.linkPath.length > NAME_LENGTH) add('linkpath', entry.linkPath);
	if (entry.uid > MAX_OCTAL_ID) add('uid', entry.uid);
	if (entry.gid > MAX_OCTAL_ID) add('gid', entry.gid);
	if (entry.type === 'file' && entry.size > MAX_OCTAL_SIZE) add('size', entry.size);
	if (!isOctalTime(entry.mtime)) add('mtime', Math.floor(entry.mtime));
	if ([records.get('path'), records.get('linkpath')].some((name) => name !== undefined && !isUtf8(name))) {
		add('hdrcharset', 'BINARY');
	}
	for (const [name, value] of entry.xattrs) records.set(XATTR_PREFIX + name, value);
	return [...records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([keyword, value]) => paxRecord(keyword, value));
}

/** Whether ustar can say all of it. */
function isPlain({ path, linkPath, uid, gid, size, mtime, xattrs }: TarEntry): boolean {
	const isShort = path.length <= NAME_LENGTH && linkPath.length <= NAME_LENGTH && xattrs.size === 0;
	return isShort && uid <= MAX_OCTAL_ID && gid <= MAX_OCTAL_ID && size <= MAX_OCTAL_SIZE && isOctalTime(mtime);
}

/** `length keyword=value\n`, where the length counts its own digits. */
function paxRecord(keyword: string, value: Buffer): Buffer {
	const rest = Buffer.concat([Buffer.from(` ${keyword}=`, 'latin1'), value, Buffer.from('\n')]);
	let length = rest.length + 1;
	while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
	return Buffer.concat([Buffer.from(String(length)), rest]);
}

function paxName(path: string): string {
	return `PaxHeaders.0/${path.slice(path.lastIndexOf('/') + 1)}`.slice(0, NAME_LENGTH);
}

function isOctalTime(mtime: number): boolean {
	return mtime >= 0 && mtime <= MAX_OCTAL_SIZE;
}

/** Digits and a NUL, which is there already. */
function writeOctal(block: Buffer, start: number, length: number, value: number): void {
	let rest = value;
	for (let at = start + length - 2; at >= start; at--) {
		block[at] = ZERO + (rest % 8);
		rest = Math.floor(rest / 8);
	}
}

function writeChecksum(block: Buffer): void {
	block.write('        ', 148, 'latin1');
	let sum = 0;
	for (let at = 0; at < BLOCK_SIZE; at++) sum += block[at] ?? 0;
	writeOctal(block, 148, 7, sum);
	block[154] = 0;
}

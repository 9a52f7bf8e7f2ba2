// Tar archives for builder images: reads one that is on disk without unpacking it, and writes small ones.
import { open } from 'node:fs/promises';

const BLOCK = 512;

/** Where each entry of a tar file lies: `{ name, type, target, mode, start, data, end }`, names without `./`, byte offsets. */
export async function scanTar(file) {
	const handle = await open(file);
	try {
		const entries = [];
		for (let offset = 0; ; ) {
			const entry = await scanEntry(handle, offset);
			if (entry === undefined) return entries;
			entries.push(entry);
			offset = entry.end;
		}
	} finally {
		await handle.close();
	}
}

async function scanEntry(handle, start) {
	const long = {};
	for (let offset = start; ; ) {
		const header = await readRange(handle, offset, BLOCK);
		if (header.length < BLOCK || header.every((byte) => byte === 0)) return undefined;
		const type = String.fromCharCode(header[156] || 0x30);
		const size = number(header, 124, 12);
		const data = offset + BLOCK;
		const end = data + Math.ceil(size / BLOCK) * BLOCK;
		if (!'xLK'.includes(type)) {
			const name = trim(long.path ?? headerName(header));
			const target = trim(long.linkpath ?? text(header, 157, 100));
			return { name, type, target, mode: number(header, 100, 8), start, header: offset, data, size, end };
		}
		Object.assign(long, longNames(type, await readRange(handle, data, size)));
		offset = end;
	}
}

function longNames(type, body) {
	if (type === 'L') return { path: text(body, 0, body.length) };
	if (type === 'K') return { linkpath: text(body, 0, body.length) };
	const records = {};
	for (let offset = 0; offset < body.length; ) {
		const space = body.indexOf(0x20, offset);
		const length = Number(body.toString('latin1', offset, space));
		const record = body.toString('utf8', space + 1, offset + length - 1);
		records[record.slice(0, record.indexOf('='))] = record.slice(record.indexOf('=') + 1);
		offset += length;
	}
	return records;
}

/** `length` bytes of an open file from `offset`; fewer only at its end. */
export async function readRange(handle, offset, length) {
	const buffer = Buffer.alloc(length);
	const { bytesRead } = await handle.read(buffer, 0, length, offset);
	return buffer.subarray(0, bytesRead);
}

/** One ustar entry as bytes. `entry`: `{ name, type, mode, uid, gid, mtime, target, content }`, names up to 255 bytes. */
export function packEntry({ name, type = '0', mode, uid = 0, gid = 0, mtime, target = '', content = Buffer.alloc(0) }) {
	const header = Buffer.alloc(BLOCK);
	const [prefix, rest] = splitName(name);
	header.write(rest, 0, 100);
	header.write(`${octal(mode, 7)}\0${octal(uid, 7)}\0${octal(gid, 7)}\0`, 100);
	header.write(`${octal(content.length, 11)}\0${octal(mtime, 11)}\0`, 124);
	header.write(`        ${type}`, 148);
	header.write(target, 157, 100);
	header.write('ustar\x0000', 257);
	header.write(prefix, 345, 155);
	const sum = header.reduce((total, byte) => total + byte, 0);
	header.write(`${octal(sum, 6)}\0 `, 148);
	return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** The two zero blocks that end an archive. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK);

function splitName(name) {
	if (Buffer.byteLength(name) <= 100) return ['', name];
	const slash = name.lastIndexOf('/', 155);
	if (slash <= 0 || Buffer.byteLength(name.slice(slash + 1)) > 100) throw new Error(`name too long for ustar: ${name}`);
	return [name.slice(0, slash), name.slice(slash + 1)];
}

function headerName(header) {
	const ustar = header.toString('latin1', 257, 262) === 'ustar';
	const prefix = ustar ? text(header, 345, 155) : '';
	return prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`;
}

const octal = (value, width) => value.toString(8).padStart(width, '0');
const number = (header, offset, length) => Number.parseInt(text(header, offset, length).trim() || '0', 8);
const trim = (name) => name.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');

function text(buffer, offset, length) {
	const end = buffer.indexOf(0, offset);
	return buffer.toString('utf8', offset, end === -1 || end > offset + length ? offset + length : end);
}

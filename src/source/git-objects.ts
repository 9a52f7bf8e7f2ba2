import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { errnoOf } from '../errors.js';

/** Of a commit, of the deltas it is made of, and of a file that holds it alone. */
const MAX_BYTES = 1 << 20;
const MAX_PACKS = 10_000;
/** git gc makes chains of 50 deltas, before 2.18 with --aggressive of 250. */
const MAX_CHAIN = 256;
const INDEX_HEAD = Buffer.from('ff744f6300000002', 'hex');
const FANOUT_BYTES = 256 * 4;
const COMMIT = 1;
const OFFSET_DELTA = 6;
const BASE_DELTA = 7;

/** A pack and its index, both open (gitformat-pack(5), version 2). */
interface Pack {
	readonly index: FileHandle;
	readonly objects: FileHandle;
	readonly hashBytes: number;
}

/**
 * The commit object `id`, 40 or 64 hexadecimal digits, of the object directory `directory`, loose or packed, checked against its id.
 * Reads no alternates and no configuration, and starts no program. Undefined when it is not there, damaged, above 1 MiB, or behind a chain of more than 256 deltas.
 */
export async function readCommitObject(directory: string, id: string): Promise<Buffer | undefined> {
	try {
		const found = (await readLoose(directory, id)) ?? (await readPacked(directory, id));
		return found !== undefined && hashOf(found, id.length) === id ? found : undefined;
	} catch (error) {
		// What the file system or zlib refuses is as good as not there.
		if (errnoOf(error) !== undefined || error instanceof RangeError) return undefined;
		throw error;
	}
}

function hashOf(commit: Buffer, digits: number): string {
	const hash = createHash(digits === 40 ? 'sha1' : 'sha256');
	return hash.update(`commit ${commit.length}\0`).update(commit).digest('hex');
}

async function readLoose(directory: string, id: string): Promise<Buffer | undefined> {
	await using file = await openFile(join(directory, id.slice(0, 2), id.slice(2)));
	if (file === undefined) return undefined;
	const content = inflateSync(await readAt(file, 0, MAX_BYTES), { maxOutputLength: MAX_BYTES });
	const end = content.indexOf(0);
	return content.toString('latin1', 0, 7) === 'commit ' ? content.subarray(end + 1) : undefined;
}

async function readPacked(directory: string, id: string): Promise<Buffer | undefined> {
	const names = await readdir(join(directory, 'pack'));
	for (const name of names.filter((each) => each.endsWith('.idx')).slice(0, MAX_PACKS)) {
		await using index = await openFile(join(directory, 'pack', name));
		await using objects = await openFile(join(directory, 'pack', name.replace(/idx$/, 'pack')));
		if (index === undefined || objects === undefined) continue;
		const pack = { index, objects, hashBytes: id.length / 2 };
		const offset = await findOffset(pack, Buffer.from(id, 'hex'));
		if (offset !== undefined) return await readObject(pack, offset, 0);
	}
	return undefined;
}

/** Where in the pack the object `id` begins. */
async function findOffset({ index, hashBytes }: Pack, id: Buffer): Promise<number | undefined> {
	const head = await readAt(index, 0, INDEX_HEAD.length + FANOUT_BYTES);
	if (!head.subarray(0, INDEX_HEAD.length).equals(INDEX_HEAD)) return undefined;
	const upTo = (byte: number) => (byte < 0 ? 0 : head.readUInt32BE(INDEX_HEAD.length + byte * 4));
	const hashes = INDEX_HEAD.length + FANOUT_BYTES;
	const first = id[0] ?? 0;
	let [low, high] = [upTo(first - 1), upTo(first)];
	while (low < high) {
		const middle = Math.floor((low + high) / 2);
		const order = Buffer.compare(await readAt(index, hashes + middle * hashBytes, hashBytes), id);
		if (order === 0) return offsetAt(index, hashes + upTo(255) * (hashBytes + 4), { count: upTo(255), at: middle });
		if (order < 0) low = middle + 1;
		else high = middle;
	}
	return undefined;
}

/** Offsets of 2 GiB and more are in a table of their own, behind the other. */
async function offsetAt(
	index: FileHandle,
	offsets: number,
	{ count, at }: { readonly count: number; readonly at: number },
): Promise<number> {
	const offset = (await readAt(index, offsets + at * 4, 4)).readUInt32BE();
	if (offset < 0x8000_0000) return offset;
	return Number((await readAt(index, offsets + count * 4 + (offset - 0x8000_0000) * 8, 8)).readBigUInt64BE());
}

async function readObject(pack: Pack, offset: number, chain: number): Promise<Buffer | undefined> {
	const head = await readAt(pack.objects, offset, 64);
	const { type, size, length } = readHead(head);
	if (size > MAX_BYTES || chain > MAX_CHAIN) return undefined;
	const content = (at: number) => inflateAt(pack.objects, offset + at, size);
	if (type === COMMIT) return content(length);
	if (type === OFFSET_DELTA) {
		const { distance, end } = readDistance(head, length);
		return applyTo(await readObject(pack, offset - distance, chain + 1), await content(end));
	}
	if (type !== BASE_DELTA) return undefined;
	const base = await findOffset(pack, head.subarray(length, length + pack.hashBytes));
	if (base === undefined) return undefined;
	return applyTo(await readObject(pack, base, chain + 1), await content(length + pack.hashBytes));
}

/** Type and inflated size of an object, in groups of 4 and then 7 bits. */
function readHead(bytes: Buffer): { readonly type: number; readonly size: number; readonly length: number } {
	const first = bytes.readUInt8(0);
	const rest = (first & 0x80) === 0 ? { value: 0, end: 1 } : readSize(bytes, 1);
	return { type: (first >> 4) & 7, size: (first & 15) + rest.value * 16, length: rest.end };
}

/** The lowest 7 bits come first. */
function readSize(bytes: Buffer, from: number): { readonly value: number; readonly end: number } {
	let value = 0;
	for (let at = from; ; at += 1) {
		const byte = bytes.readUInt8(at);
		value += (byte & 0x7f) * 2 ** (7 * (at - from));
		if ((byte & 0x80) === 0) return { value, end: at + 1 };
	}
}

/** The highest 7 bits come first, each group but the last less one. */
function readDistance(bytes: Buffer, from: number): { readonly distance: number; readonly end: number } {
	let at = from;
	let byte = bytes.readUInt8(at);
	let distance = byte & 0x7f;
	while ((byte & 0x80) !== 0) {
		byte = bytes.readUInt8((at += 1));
		distance = (distance + 1) * 128 + (byte & 0x7f);
	}
	return { distance, end: at + 1 };
}

/** What is behind the end of the stream is not read. */
async function inflateAt(file: FileHandle, offset: number, size: number): Promise<Buffer> {
	const compressed = await readAt(file, offset, size + (size >> 8) + 1024);
	return inflateSync(compressed, { maxOutputLength: Math.max(1, size) });
}

function applyTo(base: Buffer | undefined, delta: Buffer): Buffer | undefined {
	if (base === undefined) return undefined;
	const { value: size, end: begin } = readSize(delta, readSize(delta, 0).end);
	if (size > MAX_BYTES) return undefined;
	const made = Buffer.alloc(size);
	let [end, at] = [0, begin];
	while (at < delta.length) {
		const { part, next } = readInstruction(base, delta, at);
		if (part.length === 0 || end + part.length > size) return undefined;
		part.copy(made, end);
		end += part.length;
		at = next;
	}
	return end === size ? made : undefined;
}

/** Copies from the base, whose offset and size lack the bytes that are zero, or inserts what follows. */
function readInstruction(base: Buffer, delta: Buffer, from: number): { readonly part: Buffer; readonly next: number } {
	const code = delta.readUInt8(from);
	let at = from + 1;
	if ((code & 0x80) === 0) return { part: delta.subarray(at, at + code), next: at + code };
	const take = (bits: readonly number[]) =>
		bits.reduce((sum, bit, index) => sum + ((code & bit) === 0 ? 0 : delta.readUInt8(at++) * 256 ** index), 0);
	const offset = take([0x01, 0x02, 0x04, 0x08]);
	const size = take([0x10, 0x20, 0x40]) || 0x10000;
	return { part: base.subarray(offset, offset + size), next: at };
}

/** Undefined when there is no such file; never waits for a FIFO. */
async function openFile(path: string): Promise<FileHandle | undefined> {
	try {
		const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
		if ((await file.stat()).isFile()) return file;
		await file.close();
	} catch (error) {
		if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error;
	}
	return undefined;
}

/** Up to `length` bytes, fewer at the end of the file, none before its beginning. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
	if (position < 0) return Buffer.alloc(0);
	const bytes = Buffer.alloc(length);
	const { bytesRead } = await file.read(bytes, 0, length, position);
	return bytes.subarray(0, bytesRead);
}

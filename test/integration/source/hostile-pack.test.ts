import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readCommitObject } from '../../../src/source/git-objects.js';
import { temporaryDirectory } from './repository.js';

const COMMIT = 1;
const OFFSET_DELTA = 6;
const BASE_DELTA = 7;
const MIB = 1 << 20;
/** Of no object: what has another id than the one that was asked for is not there. */
const WANTED = 'aa'.repeat(20);

/** Type and size in front of an object of a pack: 4 bits, then groups of 7. */
function head(type: number, size: number): Buffer {
	const bytes = [(type << 4) | (size & 15)];
	for (let rest = size >> 4; rest > 0; rest >>= 7) {
		bytes.push((bytes.pop() ?? 0) | 0x80, rest & 0x7f);
	}
	return Buffer.from(bytes);
}

/** A size of a delta: groups of 7 bits, the lowest first. */
function varint(value: number): Buffer {
	const bytes: number[] = [];
	let rest = value;
	for (; rest > 0x7f; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
	return Buffer.from([...bytes, rest]);
}

/** How far back the base of a delta is: groups of 7 bits, the highest first, each but the last less one. */
function distance(value: number): Buffer {
	const bytes = [value & 0x7f];
	for (let rest = (value >> 7) - 1; rest >= 0; rest = (rest >> 7) - 1) bytes.unshift((rest & 0x7f) | 0x80);
	return Buffer.from(bytes);
}

/** An object directory with one pack, whose index calls the last of `objects` by the name `id` and has no other. */
function packOf(objects: readonly Buffer[], id = WANTED): string {
	const directory = temporaryDirectory();
	mkdirSync(join(directory, 'pack'));
	const pack = Buffer.concat([Buffer.from('PACK\0\0\0\x02\0\0\0\x01', 'latin1'), ...objects]);
	const offset = Buffer.alloc(4);
	offset.writeUInt32BE(pack.length - (objects.at(-1)?.length ?? 0));
	const fanout = Buffer.alloc(256 * 4);
	const first = Number.parseInt(id.slice(0, 2), 16);
	for (let byte = first; byte < 256; byte += 1) fanout.writeUInt32BE(1, byte * 4);
	const index = [Buffer.from('ff744f6300000002', 'hex'), fanout, Buffer.from(id, 'hex'), Buffer.alloc(4), offset];
	writeFileSync(join(directory, 'pack', 'pack-1.pack'), pack);
	writeFileSync(join(directory, 'pack', 'pack-1.idx'), Buffer.concat(index));
	return directory;
}

const idOf = (content: Buffer) => createHash('sha1').update(`commit ${content.length}\0`).update(content).digest('hex');

const commit = (content: Buffer) => Buffer.concat([head(COMMIT, content.length), deflateSync(content)]);

/** A delta whose base is the object in front of it, of `before` bytes. */
const deltaOn = (before: number, delta: Buffer) =>
	Buffer.concat([head(OFFSET_DELTA, delta.length), distance(before), deflateSync(delta)]);

/** One instruction that copies the first `size` bytes of the base. */
const copyOf = (size: number) =>
	Buffer.concat([varint(size), varint(size), Buffer.from([0xf0, size & 0xff, (size >> 8) & 0xff, size >> 16])]);

/** `count` deltas, each on the one before, that copy `content` whole. */
function chainOf(content: Buffer, count: number): readonly Buffer[] {
	const objects = [commit(content)];
	for (let index = 0; index < count; index += 1) {
		objects.push(deltaOn(objects.at(-1)?.length ?? 0, copyOf(content.length)));
	}
	return objects;
}

describe('a pack that was made to cost time or memory', () => {
	const TINY = Buffer.from('tree');
	const LARGE = Buffer.alloc(2 * MIB, 'a');
	const first = commit(TINY);
	const idling = Buffer.concat([varint(4), varint(4), Buffer.alloc(MIB - 64), copyOf(4).subarray(2)]);
	const endless = 2 ** 31 - 1;
	/** Each is the commit that is asked for, but for what it costs, or leads to no commit at all. */
	const PACKS: Readonly<Record<string, readonly [objects: readonly Buffer[], commit?: Buffer]>> = {
		'deltas of a million instructions that insert nothing': [[first, deltaOn(first.length, idling)], TINY],
		'a commit above 1 MiB': [[commit(LARGE)], LARGE],
		'a chain of deltas that no git makes': [chainOf(TINY, 5000), TINY],
		'a delta that makes more than a commit may have': [
			[first, deltaOn(first.length, Buffer.concat([varint(4), varint(endless), Buffer.from([0x90, 4])]))],
		],
		'a commit that says 4 bytes and inflates to 1 GiB': [
			[Buffer.concat([head(COMMIT, 4), deflateSync(Buffer.alloc(1024 * MIB), { level: 1 })])],
		],
		'a commit that says it has 2 GiB': [[Buffer.concat([head(COMMIT, endless), deflateSync(TINY)])]],
		'a delta whose base is itself': [
			[Buffer.concat([head(BASE_DELTA, 4), Buffer.from(WANTED, 'hex'), deflateSync(copyOf(4).subarray(0, 4))])],
		],
		'a delta whose base is where it is': [
			[Buffer.concat([head(OFFSET_DELTA, 6), distance(0), deflateSync(copyOf(4))])],
		],
	};

	test.each(Object.entries(PACKS))('%s is as good as no pack', { timeout: 60_000 }, async (_what, [objects, made]) => {
		const id = made === undefined ? WANTED : idOf(made);
		const directory = packOf(objects, id);
		const before = process.memoryUsage.rss();
		expect(await readCommitObject(directory, id)).toBeUndefined();
		expect(process.memoryUsage.rss() - before).toBeLessThan(600 * MIB);
	});

	test('is what these tests make of a pack that is not', async () => {
		const content = Buffer.from('tree 1\nauthor a\n\nsubject\n');
		const id = idOf(content);
		const directory = packOf(chainOf(content, 3), id);
		expect(await readCommitObject(directory, id)).toEqual(content);
	});
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Explanation, explainContent } from '../../../src/pipeline/reproducible/explain-content.js';
import { differingPaths, explainDifference } from '../../../src/pipeline/reproducible/reproducible.js';
import { type ContentWanted, type LayerMembers, readLayerMembers } from '../../../src/tar/layer-members.js';
import { type TarMember, tarDirectory, tarFile, tarOf, tarSymlink } from '../../support/tar.js';

const ALL: ContentWanted = { has: () => true, budget: 1 << 20 };

function read(members: readonly TarMember[], wanted = ALL): Promise<LayerMembers> {
	const directory = mkdtempSync(join(tmpdir(), 's2oci-test-'));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	const path = join(directory, 'layer');
	writeFileSync(path, gzipSync(tarOf(members)));
	return readLayerMembers(path, wanted, new AbortController().signal);
}

async function reasons(first: readonly TarMember[], second: readonly TarMember[]): Promise<readonly string[]> {
	const [one, other] = [await read(first), await read(second)];
	const differences = differingPaths(one, other).map((path) => explainDifference(path, one.get(path), other.get(path)));
	return (await Promise.all(differences)).map(({ path, reason }) => `${path}: ${reason}`);
}

async function causeOf(path: string, first: Buffer | string, second: Buffer | string): Promise<Explanation['cause']> {
	return (await explainContent(path, Buffer.from(first as string), Buffer.from(second as string))).cause;
}

/** A zip file of stored members, with `time` as the DOS time of each. */
function zipOf(members: readonly (readonly [string, string])[], time = 0): Buffer {
	const locals: Buffer[] = [];
	const entries: Buffer[] = [];
	let offset = 0;
	for (const [name, text] of members) {
		const data = deflateRawSync(text);
		const common = Buffer.alloc(26);
		common.writeUInt16LE(20, 0);
		common.writeUInt16LE(8, 4);
		common.writeUInt16LE(time, 6);
		common.writeUInt32LE(
			text.split('').reduce((sum, letter) => sum + letter.charCodeAt(0), 0),
			10,
		);
		common.writeUInt32LE(data.length, 14);
		common.writeUInt32LE(text.length, 18);
		common.writeUInt16LE(name.length, 22);
		const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), data]);
		const place = Buffer.alloc(14);
		place.writeUInt32LE(offset, 10);
		entries.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\0'), common, place, Buffer.from(name)]));
		locals.push(local);
		offset += local.length;
	}
	const directory = Buffer.concat(entries);
	const end = Buffer.alloc(22);
	end.write('PK\x05\x06');
	end.writeUInt16LE(members.length, 10);
	end.writeUInt32LE(directory.length, 12);
	end.writeUInt32LE(offset, 16);
	return Buffer.concat([...locals, directory, end]);
}

/** Python byte code as PEP 552 has it, of a source file of the time `time`. */
function byteCode(time: number, code = 'code'): Buffer {
	const header = Buffer.alloc(16);
	header.set([0xcb, 0x0d, 0x0d, 0x0a]);
	header.writeUInt32LE(time, 8);
	return Buffer.concat([header, Buffer.from(code)]);
}

describe('two layers', () => {
	test('that hold the same do not differ, whatever their compression', async () => {
		const members = [tarDirectory('a'), tarFile('a/b', 'text'), tarSymlink('c', 'a')];
		expect(differingPaths(await read(members), await read(members))).toEqual([]);
	});

	test('differ where a member is in one only, or has other attributes or content', async () => {
		const first = [
			...[tarFile('gone', ''), tarFile('mode', '', { mode: 0o644 }), tarFile('owner', '', { uid: 1 })],
			...[tarFile('text', 'one'), tarSymlink('link', 'a'), tarFile('kind'), tarFile('time', '', { mtime: 5 })],
		];
		const second = [
			...[tarFile('mode', '', { mode: 0o755 }), tarFile('new'), tarFile('owner', '', { uid: 2 })],
			...[tarFile('text', 'other'), tarSymlink('link', 'b'), tarDirectory('kind'), tarFile('time', '', { mtime: 6 })],
		];
		expect(await reasons(first, second)).toEqual([
			'gone: is only in the first build',
			'kind: is only in the first build',
			'kind/: is only in the second build',
			'link: has the link target a, then b',
			'mode: has the mode 644, then 755',
			'new: is only in the second build',
			'owner: has the owner 1:0, then 2:0',
			'text: differs for a reason that cannot be seen',
			'time: has the time 5, then 6',
		]);
	});

	test('differ in extended attributes', async () => {
		const of = (value: string) => [tarFile('file', '', { pax: { 'SCHILY.xattr.user.a': value } })];
		expect(await reasons(of('1'), of('2'))).toEqual(['file: has the extended attributes user.a=31, then user.a=32']);
	});

	test('keep content only of members that were asked for, within the budget', async () => {
		const members = [tarFile('a', 'aaaa'), tarFile('b', 'bbbb'), tarFile('c', 'cc'), tarFile('d', 'dd')];
		const found = await read(members, { has: (path) => path !== 'a', budget: 6 });
		expect([...found.values()].map(({ content }) => content?.toString())).toEqual([undefined, 'bbbb', 'cc', undefined]);
	});
});

describe('the likely cause', () => {
	const date = (day: string) => `/* made on 2025-06-${day}T10:00:00Z by a tool */`;

	test.each<[Explanation['cause'], string, Buffer | string, Buffer | string]>([
		['python-bytecode', 'm.pyc', byteCode(1_750_000_000), byteCode(1_750_000_002)],
		['gzip-time', 'a.gz', gzipAt(1), gzipAt(2)],
		['gzip-time', 'a.gz', gzipSync('x'.repeat(999), { level: 1 }), gzipSync('x'.repeat(999), { level: 9 })],
		['time', 'a.gz', gzipSync(date('15')), gzipSync(date('16'))],
		[
			'member-order',
			'a.jar',
			zipOf([
				['a', '1'],
				['b', '2'],
			]),
			zipOf([
				['b', '2'],
				['a', '1'],
			]),
		],
		['member-times', 'a.jar', zipOf([['a', '1']], 7), zipOf([['a', '1']], 9)],
		['members', 'a.jar', zipOf([['a', '1']]), zipOf([['a', '2']])],
		[
			'members',
			'a.zip',
			zipOf([['a', '1']]),
			zipOf([
				['a', '1'],
				['b', '2'],
			]),
		],
		['member-order', 'a.tar', tarOf([tarFile('a', '1'), tarFile('b')]), tarOf([tarFile('b'), tarFile('a', '1')])],
		['member-times', 'a.tgz', gzipSync(tarOf([tarFile('a')])), gzipSync(tarOf([tarFile('a', '', { mtime: 9 })]))],
		['line-order', 'list', 'a\nb\nc\n', 'c\na\nb\n'],
		['time', 'x.js', date('15'), date('16')],
		['time', 'x', 'Built: Sun Jun 15 15:06:40 UTC 2025', 'Built: Sun Jun 15 15:06:42 UTC 2025'],
		['time', 'x', 'at 15:06:40', 'at 15:06:41'],
		['time', 'x.json', '{"now":1750000000123}', '{"now":1750000002456}'],
		['time', 'x.bin', Buffer.from([1, 0, 0, 0x67, 0x6a, 0, 0]), Buffer.from([1, 0, 2, 0x67, 0x6a, 0, 0])],
		['identifier', 'x', 'id=1b4e28ba-2fa1-41d2-883f-0016d3cca427', 'id=6fa459ea-ee8a-4ca4-894e-db77e160355e'],
		['identifier', 'x', 'hash 9f86d081884c7d65', 'hash 9f86d0b5bb9d8014'],
		['path', 'x', 'cd /tmp/tmp.AbC/build/x', 'cd /tmp/tmp.xYz/build/x'],
		['unknown', 'x', 'something', 'else'],
		['unknown', 'x', '', 'more'],
	])('is %s of %s (%#)', async (cause, path, first, second) => {
		expect(await causeOf(path, first, second)).toBe(cause);
		expect(await causeOf(path, second, first)).toBe(cause);
	});

	test('is told with what stands there, on one line', async () => {
		const { reason } = await explainContent('x', Buffer.from('a\n2025-06-15\n'), Buffer.from('a\n2025-06-16\n'));
		expect(reason).toBe('holds a date: "2025-06-15", then "2025-06-16"');
	});

	test('in gzip files in one another is looked for a few levels deep only', async () => {
		let [first, second] = [Buffer.from('one'), Buffer.from('two')];
		for (let level = 0; level < 3000; level++) [first, second] = [gzipSync(first), gzipSync(second)];
		const { reason } = await explainContent('x.gz', first, second);
		expect(reason.length).toBeLessThan(300);
	});

	test('is found, or not, in any bytes at all', async () => {
		const magic = fc.constantFrom('', 'PK\x03\x04', '\x1f\x8b\x08', 'PK\x05\x06', 'ustar');
		const bytes = fc
			.tuple(magic, fc.uint8Array({ maxLength: 600 }))
			.map(([start, rest]) => Buffer.concat([Buffer.from(start, 'latin1'), rest]));
		await fc.assert(
			fc.asyncProperty(fc.constantFrom('a.pyc', 'b.gz', 'c.jar', 'd'), bytes, bytes, async (path, first, second) => {
				fc.pre(!first.equals(second));
				expect((await explainContent(path, first, second)).reason).not.toMatch(/\n/);
			}),
		);
	});
});

function gzipAt(seconds: number): Buffer {
	const bytes = gzipSync('text');
	bytes.writeUInt32LE(seconds, 4);
	return bytes;
}

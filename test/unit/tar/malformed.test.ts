import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../../src/errors.js';
import { cutAt, paxRecord, type TarMember, tarFile, tarOf, tarSymlink } from '../../support/tar.js';
import { readTar } from './entries.js';

const pax = (body: Buffer | string): TarMember => ({ name: 'pax', flag: 'x', body });
const base256 = (...bytes: readonly number[]) => Buffer.from(bytes);
const file = tarFile('file', 'content');
/** A sparse file of 1 KiB in the format of pax 1.0. */
const sparse = (map: string, records: Readonly<Record<string, string>> = {}, content = ''): TarMember =>
	tarFile('file', map.padEnd(512, '\0') + content, {
		pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1024', ...records },
	});
const hole = (size: number): TarMember => tarFile('hole', '', { pax: { 'GNU.sparse.size': String(size) } });

describe('a malformed archive is refused as LAYER_INVALID', () => {
	test.each<[string, readonly TarMember[] | Buffer, RegExp]>([
		['a wrong checksum', [{ ...file, rawChecksum: '000000\0 ' }], /checksum/],
		['a checksum that is not octal', [{ ...file, rawChecksum: '99999999' }], /not octal/],
		['text where a size belongs', [{ ...file, rawSize: 'a lot, sorry' }], /not octal/],
		['a size with a sign', [{ ...file, rawSize: '-0000000001\0' }], /not octal/],
		['a negative base-256 size', [{ ...file, rawSize: Buffer.alloc(12, 0xff) }], /negative/],
		['a size beyond 2^53', [{ ...file, rawSize: base256(0x80, 0, 0, 0, 0x7f, ...Buffer.alloc(7, 0xff)) }], /range/],
		['a negative size in pax', [{ ...file, pax: { size: '-1' } }], /negative/],
		['a fractional size in pax', [{ ...file, pax: { size: '1.5' } }], /negative or too large/],
		['a size in pax that is no number', [{ ...file, pax: { size: '0x10' } }], /not a number/],
		['a size in pax beyond 2^53', [{ ...file, pax: { size: '9'.repeat(30) } }], /too large/],
		['a negative owner', [{ ...file, rawUid: Buffer.alloc(8, 0xff) }], /owner/],
		[
			'the owner 4294967295, chown(2)’s "leave it" (CVE-2024-40635)',
			[{ ...file, pax: { uid: '4294967295' } }],
			/owner/,
		],
		['a time that no clock shows', [{ ...file, pax: { mtime: '9'.repeat(400) } }], /time/],
		['a time beyond 2^53', [{ ...file, pax: { mtime: `1${'0'.repeat(20)}` } }], /time/],
		['a pax record without a length', [pax('path=x\n'), file], /pax record/],
		['a pax record longer than its header', [pax('99 path=x\n'), file], /pax record/],
		['a pax record of length zero', [pax('0 path=x\n'), file], /pax record/],
		['a pax record of negative length', [pax('-5 path=x\n'), file], /pax record/],
		['a pax record without a newline', [pax('8 path=xy'), file], /pax record/],
		['a pax record without an equals sign', [pax('8 pathx\n'), file], /pax record/],
		['a pax header of more than 1 MiB', [pax(paxRecord('comment', 'x'.repeat(1 << 20))), file], /1 MiB/],
		['a GNU long name of more than 1 MiB', [{ name: 'l', flag: 'L', body: Buffer.alloc(2 ** 20 + 1) }, file], /1 MiB/],
		['an old GNU sparse file without a map', [{ ...file, flag: 'S' }], /more content than its map/],
		['a sparse file of an unknown version', [{ ...file, pax: { 'GNU.sparse.major': '2' } }], /unknown version/],
		[
			'a sparse file without a size',
			[{ ...file, pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' } }],
			/sparse/,
		],
		['a sparse file of no size', [sparse('0', { 'GNU.sparse.realsize': '-1' })], /map/],
		['a map that is no number', [sparse('one\n')], /map/],
		['a map without an end', [sparse('9'.repeat(600))], /map/],
		['a map that is cut short', [sparse('2\n0\n512\n')], /map/],
		['a map that goes backwards', [sparse('2\n512\n1\n0\n1\n', {}, 'ab')], /makes no sense/],
		['a map that goes beyond the file', [sparse('1\n1020\n9\n', {}, 'abcdefghi')], /makes no sense/],
		['a map of more than there is', [sparse('1\n0\n9\n', {}, 'abc')], /less content/],
		['a map of less than there is', [sparse('1\n0\n1\n', {}, 'abc')], /more content/],
		['a map of too many parts', [sparse('9999999\n')], /too many/],
		['half a pair in a map', [{ ...file, pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,1,2' } }], /map/],
		['holes without end', [sparse('0\n', { 'GNU.sparse.realsize': '9007199254740991' })], /8 GiB/],
		['holes of many files', [hole(1), hole(8 * 2 ** 30)], /8 GiB/],
		['a type nobody knows', [{ ...file, flag: 'Z' }], /type "Z"/],
		['a continued volume', [{ ...file, flag: 'M' }], /type "M"/],
		['bytes that are no archive', Buffer.alloc(1024, 'no tar'), /checksum|octal/],
	])('%s', (_what, input, message) => {
		const bytes = Buffer.isBuffer(input) ? input : tarOf(input);
		expect(() => readTar([bytes])).toThrow(expect.objectContaining({ code: 'LAYER_INVALID' }) as Error);
		expect(() => readTar([bytes])).toThrow(message);
	});

	test('a stream cut anywhere inside an entry', () => {
		const whole = tarOf([{ ...file, pax: { path: 'p'.repeat(600) } }], false);
		for (let length = 1; length < whole.length; length++) {
			const read = () => readTar([whole.subarray(0, length)]);
			expect(read, `cut after ${length} bytes`).toThrow(/ends in the middle/);
		}
	});

	test('never anything but LAYER_INVALID, whatever bytes are changed', () => {
		const whole = tarOf([file, { ...file, pax: { path: 'other', 'SCHILY.xattr.user.a': 'b' } }, tarSymlink('s', 't')]);
		const edit = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) });
		fc.assert(
			fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), fc.array(fc.nat(4000)), (edits, cuts) => {
				const bytes = Buffer.from(whole);
				for (const { at, byte } of edits) bytes[at] = byte;
				try {
					readTar(cutAt(bytes, cuts));
				} catch (error) {
					expect(error).toBeInstanceOf(BuildError);
					expect(error).toMatchObject({ code: 'LAYER_INVALID' });
				}
			}),
			{ numRuns: 500 },
		);
	});
});

describe('an unusual archive is read as other tools read it', () => {
	const only = (...members: readonly TarMember[]) => readTar([tarOf(members)]).map(({ entry }) => entry);

	test('an empty stream and an archive without an end have the entries that are there', () => {
		expect(readTar([])).toEqual([]);
		expect(readTar([tarOf([file], false)])).toHaveLength(1);
	});

	test('what follows the end is ignored', () => {
		expect(readTar([tarOf([file]), Buffer.alloc(10_240, 'rubbish')])).toHaveLength(1);
	});

	test('a single zero block is not the end', () => {
		expect(readTar([tarOf([file], false), Buffer.alloc(512), tarOf([file])])).toHaveLength(2);
	});

	test('global pax headers change nothing', () => {
		const global: TarMember = { name: 'g', flag: 'g', body: paxRecord('path', '../../etc/passwd') };
		expect(only(global, file)).toEqual(only(file));
	});

	test('pax records belong to the next entry alone, and a later one wins', () => {
		const twice = Buffer.concat([paxRecord('path', 'first'), paxRecord('path', 'second')]);
		expect(only(pax(twice), file, file).map(({ path }) => path)).toEqual(['second', 'file']);
	});

	test('an empty pax value leaves the header as it is', () => {
		expect(only({ ...file, uid: 7, pax: { path: '', uid: '', size: '' } })).toEqual(only({ ...file, uid: 7 }));
	});

	test('GNU long names and links are read, and pax wins over them', () => {
		const long = 'n'.repeat(300);
		const name: TarMember = { name: '././@LongLink', flag: 'L', body: `${long}\0` };
		const link: TarMember = { name: '././@LongLink', flag: 'K', body: `${long}/target\0` };
		expect(only(name, link, tarSymlink('s', 't'))).toMatchObject([{ path: long, linkPath: `${long}/target` }]);
		expect(only(name, tarSymlink('s', 't', { pax: { path: 'pax' } }))).toMatchObject([{ path: 'pax' }]);
	});

	test('a file whose name ends in a slash is a directory, and its content is skipped', () => {
		expect(only(tarFile('dir/', 'content'), file)).toMatchObject([
			{ type: 'directory', path: 'dir/', size: 0 },
			{ type: 'file', path: 'file' },
		]);
	});

	test('links and directories have no content whatever their size says', () => {
		expect(only({ name: 'l', flag: '1', link: 'x', rawSize: '00000001000\0' }, file)).toHaveLength(2);
	});

	test('base-256 ids are read', () => {
		expect(only({ ...file, rawUid: base256(0x80, 0, 0, 0, 0x3b, 0x9a, 0xca, 0) })).toMatchObject([{ uid: 1e9 }]);
	});

	test('binary xattrs stay as they are', () => {
		const value = Buffer.from([0, 1, 0x0a, 0x3d, 0xff, 0xfe]);
		const [entry] = only({ ...file, pax: { 'SCHILY.xattr.security.capability': value } });
		expect(entry?.xattrs).toEqual(new Map([['security.capability', value]]));
	});

	test('times may have a fraction or lie before 1970', () => {
		const times = ['-1.5', '1700000000.123456789', '0'];
		expect(only(...times.map((mtime) => ({ ...file, pax: { mtime } }))).map(({ mtime }) => mtime)).toEqual([
			-1.5, 1700000000.123456789, 0,
		]);
	});
});

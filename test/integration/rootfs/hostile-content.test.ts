import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadLibc } from '../../../src/linux/libc.js';
import { rawPath } from '../../../src/root-path.js';
import { type TarMember, tarDirectory, tarFile, tarOf, tarSymlink } from '../../support/tar.js';
import { aimed, attack, besideHost, evil } from './beside-host.js';

describe('S6: whiteouts', () => {
	test.each(['.wh.', 'd/.wh.', '.wh..', 'd/.wh...'])('%s, which names no file, is refused', async (name) => {
		expect((await attack([tarDirectory('d'), tarFile(name)])).refused).toBe('LAYER_UNSAFE');
	});

	test.each<[string, readonly TarMember[], object]>([
		['of a file', [tarFile('d/.wh.x')], { 'd/x': { type: 'whiteout' } }],
		['twice', [tarFile('.wh.x'), tarFile('.wh.x')], { x: { type: 'whiteout' } }],
		['as a directory', [tarDirectory('.wh.x')], { x: { type: 'whiteout' } }],
		['as a symlink', [tarSymlink('.wh.x', '/')], { x: { type: 'whiteout' } }],
		['before the file', [tarFile('.wh.x'), tarFile('x')], { x: { type: 'file' } }],
		['after the file', [tarFile('x'), tarFile('.wh.x')], { x: { type: 'file' } }],
		['before the directory', [tarFile('.wh.d'), tarDirectory('d')], { d: { type: 'directory', opaque: true } }],
		['after the directory', [tarDirectory('d'), tarFile('.wh.d')], { d: { type: 'directory', opaque: true } }],
		['opaque after its directory', [tarDirectory('d'), tarFile('d/.wh..wh..opq')], { d: { opaque: true } }],
		[
			'opaque before its directory',
			[tarFile('d/.wh..wh..opq'), tarDirectory('d')],
			{ d: { opaque: true, mode: 0o755 } },
		],
		['opaque without its directory', [tarFile('d/.wh..wh..opq')], { d: { opaque: true, implicit: true } }],
		[
			'opaque after a file in it',
			[tarFile('d/x'), tarFile('d/.wh..wh..opq')],
			{ d: { opaque: true }, 'd/x': { type: 'file' } },
		],
		['opaque as a directory', [tarDirectory('d/.wh..wh..opq')], { d: { opaque: true } }],
	])('%s, gives what the specification says in any order', async (_what, members, wanted) => {
		using scene = besideHost();
		const { entries } = await scene.unpack(members);
		expect(Object.fromEntries(entries)).toMatchObject(wanted);
	});

	test('no entry can make overlay’s own marks: they would hide or redirect what a mount shows', async () => {
		using scene = besideHost();
		const marks = ['user.overlay.opaque', 'user.overlay.redirect', 'user.overlay.whiteout', 'trusted.overlay.opaque'];
		const pax = Object.fromEntries(marks.map((name) => [`SCHILY.xattr.${name}`, 'y']));
		const whiteoutDevice: TarMember = { name: 'w', flag: '3', device: [0, 0] };
		const { lostXattrs } = await scene.unpack([tarDirectory('d', { pax }), evil('f', { pax }), whiteoutDevice]);
		expect(lostXattrs).toEqual([]);
		expect(lstatSync(join(scene.root, 'w')).isFile()).toBe(true);
		const libc = await loadLibc();
		for (const name of ['d', 'f']) expect(libc?.listXattrs(rawPath(join(scene.root, name)))).toEqual(new Map());
	});
});

describe('S8: devices, FIFOs and special bits', () => {
	test('devices become files that nobody can read, and FIFOs do not block', async () => {
		using scene = besideHost();
		const device = (name: string, flag: string): TarMember => ({ name, flag, device: [8, 1], mode: 0o666 });
		const fifo: TarMember = { name: 'pipe', flag: '6', mode: 0o622 };
		const { entries } = await scene.unpack([device('disk', '4'), device('tty', '3'), fifo, fifo]);
		expect(entries.get('disk')).toMatchObject({ type: 'block', major: 8, minor: 1, mode: 0o666 });
		for (const name of ['disk', 'tty']) {
			const stats = lstatSync(join(scene.root, name));
			expect([stats.isFile(), stats.mode & 0o777, stats.size]).toEqual([true, 0, 0]);
		}
		expect(lstatSync(join(scene.root, 'pipe')).isFIFO()).toBe(true);
	});

	test('setuid, setgid and sticky bits survive the change of owner', async () => {
		using scene = besideHost();
		const owner = { uid: 1001, gid: 50 };
		await scene.unpack([tarDirectory('t', { mode: 0o1777 }), evil('su', { mode: 0o6755, ...owner })]);
		expect(lstatSync(join(scene.root, 'su')).mode & 0o7777).toBe(0o6755);
		expect(lstatSync(join(scene.root, 't')).mode & 0o7777).toBe(0o1777);
	});

	test('what is below a setgid directory has the group that the layer says', async () => {
		using scene = besideHost();
		await scene.unpack([
			tarDirectory('mail', { mode: 0o2775, gid: 50 }),
			tarFile('mail/root', 'x'),
			tarDirectory('mail/d'),
			tarSymlink('mail/l', 'root'),
			{ name: 'mail/p', flag: '6' },
		]);
		const gids = ['root', 'd', 'l', 'p'].map((name) => lstatSync(join(scene.root, 'mail', name)).gid);
		const own = process.geteuid?.() === 0 ? 0 : process.getegid?.();
		expect(gids).toEqual([own, own, own, own]);
		expect(lstatSync(join(scene.root, 'mail/d')).mode & 0o7777).toBe(0o755);
	});
});

describe('S9: tricks of the format', () => {
	test('pax overrides path, link and size, and the content stays aligned', async () => {
		using scene = besideHost();
		const size = { rawSize: '00000000000\0', pax: { size: '5', path: 'renamed' } };
		const { onDisk } = await scene.unpack([tarFile('x', 'hello', size), tarFile('next', 'y')]);
		expect(onDisk).toEqual(['next', 'renamed']);
		expect(readFileSync(join(scene.root, 'renamed'), 'utf8')).toBe('hello');
	});

	test('the last of several entries of one name wins, whatever the types', async () => {
		using scene = besideHost();
		const kinds = [
			tarFile('n', 'first'),
			tarDirectory('n'),
			tarFile('n/x'),
			tarSymlink('n', 'HOST'),
			tarFile('n', 'last'),
		];
		const { onDisk, entries } = await scene.unpack(aimed(kinds, scene));
		expect(onDisk).toEqual(['n']);
		expect(entries.get('n')).toMatchObject({ type: 'file', size: 4 });
		expect(readFileSync(join(scene.root, 'n'), 'utf8')).toBe('last');
	});

	test('a file that is a parent becomes a directory', async () => {
		expect((await attack([evil('a'), evil('a/b')])).onDisk).toEqual(['a', 'a/b']);
	});

	test('names keep their bytes', async () => {
		const names = ['new\nline', '\xff\xfe', 'h\xc3\xa4', 'e\u0301'.replace('\u0301', '\xcc\x81'), '\xc3\xa9'];
		expect((await attack(names.map((name) => evil(name)))).onDisk).toEqual([...names].sort());
	});

	test('a name that is too long for the system is refused, not a crash', async () => {
		const deep = [tarSymlink('l', 'd/'.repeat(60)), evil('x', { pax: { path: `l/${'e/'.repeat(1990)}f` } })];
		expect((await attack(deep)).refused).toMatch(/^LAYER_/);
		expect((await attack([evil('x', { pax: { path: 'y'.repeat(256) } })])).refused).toBe('LAYER_UNSAFE');
	});

	test('a directory may be closed before its content comes', async () => {
		using scene = besideHost();
		const { refused } = await scene.unpack([tarDirectory('locked', { mode: 0 }), tarFile('locked/f', 'x')]);
		expect(refused).toBeUndefined();
		expect(lstatSync(join(scene.root, 'locked')).mode & 0o7777).toBe(0);
	});

	test('directories keep their times although files are put into them', async () => {
		using scene = besideHost();
		await scene.unpack([tarDirectory('d', { mtime: 1000 }), tarFile('d/f', 'x', { mtime: 2000 })]);
		expect(lstatSync(join(scene.root, 'd')).mtimeMs).toBe(1_000_000);
	});

	test('times before 1970 are kept', async () => {
		using scene = besideHost();
		const pax = { mtime: '-86400' };
		await scene.unpack([tarFile('f', 'x', { pax }), tarDirectory('d', { pax }), tarSymlink('l', 'f', { pax })]);
		for (const name of ['f', 'd', 'l']) expect(lstatSync(join(scene.root, name)).mtimeMs).toBe(-86_400_000);
	});
});

describe('S10: bombs (CVE-2026-25122, CVE-2026-25140, CVE-2021-20291)', () => {
	test('a layer that is larger than allowed is refused', async () => {
		using scene = besideHost();
		const { refused } = await scene.unpack([tarFile('zeros', Buffer.alloc(100_000))], { maxBytes: 50_000 });
		expect(refused).toBe('LAYER_UNSAFE');
	});

	test('a hundred levels are honest, thousands in a short name are refused', async () => {
		expect((await attack([evil('x', { pax: { path: `${'d/'.repeat(100)}f` } })])).onDisk).toHaveLength(101);
		expect((await attack([evil('x', { pax: { path: `${'d/'.repeat(3000)}f` } })])).refused).toBe('LAYER_UNSAFE');
	});

	test('a layer that was cut or damaged is refused', async () => {
		using scene = besideHost();
		expect((await scene.unpack(tarOf([tarFile('f', 'x'.repeat(2000))]).subarray(0, 1500))).refused).toBe(
			'LAYER_INVALID',
		);
		expect((await scene.unpack(Buffer.alloc(4096, 'x'))).refused).toBe('LAYER_INVALID');
	});
});

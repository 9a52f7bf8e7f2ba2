import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type TarMember, tarDirectory, tarFile, tarHardLink, tarSymlink } from '../../support/tar.js';
import { aimed, attack, besideHost, evil } from './beside-host.js';

describe('S1: names that lead out (CVE-2018-1103, CVE-2026-28406, CVE-2020-10696)', () => {
	test.each(['../host/probe', 'a/../../host/probe', 'a//..//..//host/probe', './../host/new', '..', 'a/..'])(
		'%s is refused',
		async (name) => {
			expect((await attack([evil(name)])).refused).toBe('LAYER_UNSAFE');
		},
	);

	test('an absolute name is contained', async () => {
		const { refused, onDisk } = await attack([evil('/etc/new')]);
		expect([refused, onDisk]).toEqual([undefined, ['etc', 'etc/new']]);
	});

	test('a backslash is an ordinary byte', async () => {
		expect((await attack([evil('..\\..\\host\\probe')])).onDisk).toEqual(['..\\..\\host\\probe']);
	});

	test('a NUL byte in a pax path or link is refused', async () => {
		expect((await attack([evil('x', { pax: { path: 'a\0/../../host/probe' } })])).refused).toBe('LAYER_UNSAFE');
		expect((await attack([tarSymlink('x', 'y', { pax: { linkpath: 'a\0b' } })])).refused).toMatch(/^LAYER_/);
		expect((await attack([evil('a'), tarHardLink('x', 'y', { pax: { linkpath: 'a\0b' } })])).refused).toMatch(
			/^LAYER_/,
		);
	});
});

describe('S2: a symlink as parent (CVE-2020-27833, CVE-2026-42574, CVE-2026-25121, CVE-2026-50162)', () => {
	const kinds: readonly (readonly [string, (name: string) => TarMember])[] = [
		['file', (name) => evil(name)],
		['directory', (name) => tarDirectory(name, { mode: 0o777, mtime: 5 })],
		['symlink', (name) => tarSymlink(name, '/')],
		['FIFO', (name) => ({ name, flag: '6', mode: 0o777 })],
		['device', (name) => ({ name, flag: '3', device: [1, 3], mode: 0o777 })],
		['whiteout', (name) => tarFile(name.replace(/[^/]*$/, '.wh.$&'))],
		['opaque marker', (name) => tarFile(name.replace(/[^/]*$/, '.wh..wh..opq'))],
		['file with xattrs', (name) => evil(name, { pax: { 'SCHILY.xattr.user.evil': 'x' } })],
		['setuid file', (name) => evil(name, { mode: 0o4777 })],
	];
	const parents: readonly (readonly [string, readonly TarMember[], string])[] = [
		['an absolute link', [tarSymlink('etc', 'HOST')], 'etc'],
		['a relative link', [tarSymlink('etc', '../host')], 'etc'],
		['a link with a trailing slash', [tarSymlink('etc', 'HOST/')], 'etc'],
		['a link in two steps', [tarDirectory('d'), tarSymlink('d/p', '..'), tarSymlink('d/p/e', '..')], 'd/p/e/host'],
		['a link behind a link', [tarSymlink('b', 'HOST'), tarSymlink('a', 'b')], 'a'],
		['a directory that became a link', [tarDirectory('etc'), tarSymlink('etc', 'HOST')], 'etc'],
	];
	for (const [what, kind] of kinds) {
		test.each(parents)(`a ${what} below %s stays inside`, async (_parent, members, directory) => {
			const { refused, onDisk } = await attack([...members, kind(`${directory}/probe`)]);
			expect(refused).toBeUndefined();
			expect(onDisk.length).toBeGreaterThan(0);
		});
	}

	test('a name that ends in a slash does not follow the link it names', async () => {
		using scene = besideHost();
		const { refused } = await scene.unpack(aimed([tarSymlink('etc', 'HOST'), evil('etc/')], scene));
		expect(refused).toBeUndefined();
		expect(lstatSync(join(scene.root, 'etc')).isDirectory()).toBe(true);
	});

	test('links that never end are refused', async () => {
		const loop = [tarSymlink('a', 'b'), tarSymlink('b', 'a'), evil('a/x')];
		expect((await attack(loop)).refused).toBe('LAYER_UNSAFE');
	});

	test.each([
		['empty', ''],
		['of 5000 bytes', 'x'.repeat(5000)],
	])('a link whose target is %s is refused', async (_what, linkpath) => {
		const link = linkpath === '' ? tarSymlink('l', '') : tarSymlink('l', 'x', { pax: { linkpath } });
		expect((await attack([link])).refused).toMatch(/^LAYER_/);
	});
});

describe('S3: the root itself (CVE-2021-29136)', () => {
	test.each(['.', './', '/', '/.', ''])('%j as anything but a directory is refused', async (name) => {
		const device: TarMember = { name, flag: '3', device: [1, 3] };
		const link = tarHardLink(name, 'a');
		for (const member of [tarSymlink(name, 'HOST'), device, link]) {
			expect((await attack([evil('a'), member])).refused).toBe('LAYER_UNSAFE');
		}
	});

	test('is declared by a directory entry, and changed on disk by nothing', async () => {
		using scene = besideHost();
		const before = lstatSync(scene.root);
		const { entries } = await scene.unpack([{ name: './', flag: '5', mode: 0o1777, uid: 7, gid: 8, mtime: 9 }]);
		expect(entries.get('')).toEqual({ type: 'directory', mode: 0o1777, uid: 7, gid: 8, mtime: 9 });
		const after = lstatSync(scene.root);
		expect([after.mode, after.uid, after.ino]).toEqual([before.mode, before.uid, before.ino]);
	});
});

describe('S4: hard links out (CVE-2026-50163, CVE-2026-23745, CVE-2026-24842, CVE-2026-26960)', () => {
	test.each<[string, readonly TarMember[]]>([
		['to a relative path outside', [tarHardLink('l', '../host/probe'), evil('l')]],
		['to an absolute path outside', [tarHardLink('l', 'HOST/probe'), evil('l')]],
		['through a symlink', [tarSymlink('s', 'HOST'), tarHardLink('l', 's/probe'), evil('l')]],
		['through two symlinks', [tarSymlink('s', '..'), tarSymlink('t', 's/host'), tarHardLink('l', 't/probe')]],
		['to nothing', [tarHardLink('l', 'nowhere')]],
		['to the working directory’s file', [tarHardLink('l', 'package.json')]],
		['to a directory', [tarDirectory('d'), tarHardLink('l', 'd')]],
		['to the root', [tarHardLink('l', '/')]],
		['to a whiteout', [tarFile('.wh.w'), tarHardLink('l', 'w')]],
		['to a file below the path that it replaces', [evil('a/f'), tarHardLink('a', 'a/f')]],
	])('a link %s is refused', async (_what, members) => {
		expect((await attack(members)).refused).toMatch(/^LAYER_/);
	});

	test('a link to a symlink is a link to the symlink itself', async () => {
		using scene = besideHost();
		const members = [tarSymlink('s', 'HOST/probe'), tarHardLink('l', 's')];
		expect((await scene.unpack(aimed(members, scene))).refused).toBeUndefined();
		expect(lstatSync(join(scene.root, 'l')).isSymbolicLink()).toBe(true);
	});

	test('a link to itself keeps the file', async () => {
		using scene = besideHost();
		expect((await scene.unpack([tarFile('a', 'kept'), tarHardLink('./a', 'a')])).refused).toBeUndefined();
		expect(readFileSync(join(scene.root, 'a'), 'utf8')).toBe('kept');
	});

	test('writing a name anew leaves its other names as they were', async () => {
		using scene = besideHost();
		await scene.unpack([tarFile('a', 'old'), tarHardLink('b', 'a'), tarFile('a', 'new')]);
		expect(readFileSync(join(scene.root, 'b'), 'utf8')).toBe('old');
	});
});

describe('S5: attributes through a symlink (CVE-2021-32760, CVE-2021-41089)', () => {
	test('mode, owner, time and xattrs of a symlink are its own', async () => {
		const pax = { 'SCHILY.xattr.user.evil': 'x', 'SCHILY.xattr.security.capability': 'x' };
		const { refused } = await attack([
			tarSymlink('l', 'HOST/probe', { mode: 0o4777, uid: 1234, gid: 1234, mtime: 5, pax }),
			tarSymlink('m', '../host/dir', { mode: 0o777, uid: 1234, gid: 1234, mtime: 5 }),
		]);
		expect(refused).toBeUndefined();
	});
});

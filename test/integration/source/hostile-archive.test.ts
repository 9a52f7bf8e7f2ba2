import { lstatSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type TarMember, tarDirectory, tarFile, tarHardLink, tarOf, tarSymlink } from '../../support/tar.js';
import { fetch, temporaryDirectory, unpacked } from './repository.js';
import { type ZipMember, zipOf } from './zip.js';

describe('a hostile archive', () => {
	test.each<[string, readonly TarMember[]]>([
		['a parent directory', [tarFile('../x')]],
		['a parent directory in the middle', [tarFile('a/../../x')]],
		['even a harmless one', [tarFile('a/../x')]],
		['an absolute name', [tarFile('/tmp/s2oci-evil')]],
		['a link in the way of a file', [tarSymlink('d', '/tmp'), tarFile('d/x')]],
		['a link in the way of a directory', [tarSymlink('d', '..'), tarDirectory('d/x')]],
		['a link in the way of a link', [tarSymlink('d', '/tmp'), tarSymlink('d/x', 'y')]],
		['a link that a directory replaces', [tarSymlink('d', '/tmp'), tarDirectory('d')]],
		['a file in the way', [tarFile('d'), tarFile('d/x')]],
		['a directory that a file replaces', [tarFile('d/x'), tarFile('d')]],
		['a file for the root', [tarFile('./')].map((member) => ({ ...member, flag: '2', link: '/tmp' }))],
		['a hard link out', [tarHardLink('p', '/etc/passwd')]],
		['a hard link up', [tarHardLink('p', '../../etc/passwd')]],
		['a hard link to a link', [tarSymlink('l', '/etc/passwd'), tarHardLink('p', 'l')]],
		['a hard link through a link', [tarSymlink('l', '/etc'), tarHardLink('p', 'l/passwd')]],
		['a hard link to nothing', [tarHardLink('p', 'nothing')]],
		['a device', [{ name: 'null', flag: '3', device: [1, 3] }]],
		['a block device', [{ name: 'sda', flag: '4', device: [8, 0] }]],
		['a FIFO', [{ name: 'pipe', flag: '6' }]],
		['an absolute link', [tarSymlink('l', '/etc/passwd')]],
		['a link that climbs out', [tarSymlink('a/l', '../../x')]],
		['settings behind a link', [tarSymlink('.s2i', '/etc')]],
		['a name with a zero byte', [tarFile('x', '', { pax: { path: 'a\0b' } })]],
		['a name too long', [tarFile('x', '', { pax: { path: 'n'.repeat(300) } })]],
		['a name too deep', [tarFile('x', '', { pax: { path: `${'d/'.repeat(300)}x` } })]],
	])('with %s is refused, and nothing is left of it', async (_what, members) => {
		const work = temporaryDirectory();
		const destination = join(work, 'src');
		mkdirSync(destination);
		await expect(unpacked(members, { destination })).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
		expect(readdirSync(work)).toEqual(['src']);
	});

	test('may hold links that leave when they are ignored or kept as they are', async () => {
		const members = [tarSymlink('l', '/etc/passwd'), tarFile('a')];
		const { path } = await unpacked(members, { keepSymlinks: true });
		expect(readlinkSync(join(path, 'l'))).toBe('/etc/passwd');
		const { path: without } = await unpacked([...members, tarFile('.s2iignore', 'l')]);
		expect(readdirSync(without)).toEqual(['.s2iignore', 'a']);
	});

	test('gets no setuid files, and cannot hide what it holds from its owner', async () => {
		const members = [
			tarDirectory('locked', { mode: 0 }),
			tarFile('locked/x', 'secret', { mode: 0 }),
			tarFile('su', '', { mode: 0o6755 }),
			tarFile('old', '', { pax: { mtime: '-5' } }),
		];
		const { path } = await unpacked(members);
		expect(lstatSync(join(path, 'locked')).mode & 0o7777).toBe(0o700);
		expect(lstatSync(join(path, 'locked/x')).mode & 0o7777).toBe(0o400);
		expect(lstatSync(join(path, 'su')).mode & 0o7777).toBe(0o755);
		expect(lstatSync(join(path, 'old')).mtimeMs).toBe(0);
	});

	test('that unpacks to far more than its size is refused', async () => {
		const bomb = gzipSync(tarOf([tarFile('zeros', Buffer.alloc(100 << 20))]));
		await expect(fetch('-', { stdin: Readable.from([bomb]) })).rejects.toMatchObject({
			code: 'SOURCE_INVALID',
			message: 'the archive is refused: it unpacks to more than 200 times its size',
		});
	});

	test.each<[string, readonly ZipMember[]]>([
		['a parent directory', [{ name: '../x' }]],
		['a parent directory with a backslash', [{ name: '..\\x' }]],
		['an absolute name', [{ name: '/tmp/s2oci-evil' }]],
		['a link in the way', [{ name: 'd', body: '/tmp', mode: 0o120777 }, { name: 'd/x' }]],
		['an absolute link', [{ name: 'l', body: '/etc/passwd', mode: 0o120777 }]],
		['a link with a long target', [{ name: 'l', body: 'x'.repeat(5000), mode: 0o120777 }]],
		['a device', [{ name: 'null', mode: 0o020666 }]],
		['a wrong checksum', [{ name: 'a', body: 'text', crc: 1 }]],
		['encryption', [{ name: 'a', body: 'text', flags: 1 }]],
		['an unknown compression', [{ name: 'a', body: 'text', method: 12 }]],
		['a lie about its size', [{ name: 'a', body: 'text', size: 3 }]],
		['too much for its size', [{ name: 'a', body: Buffer.alloc(100 << 20) }]],
	])('that is a zip with %s is refused', async (_what, members) => {
		await expect(fetch('-', { stdin: Readable.from([zipOf(members)]) })).rejects.toMatchObject({
			code: 'SOURCE_INVALID',
		});
	});

	test('that never ends is given up when the build is', async () => {
		const endless = new Readable({ read: () => undefined });
		endless.push(tarOf([tarFile('a')], false));
		const reason = new Error('enough');
		const controller = new AbortController();
		const failed = fetch('-', { stdin: endless }, controller.signal);
		controller.abort(reason);
		await expect(failed).rejects.toBe(reason);
		expect(endless.destroyed).toBe(true);
	});
});

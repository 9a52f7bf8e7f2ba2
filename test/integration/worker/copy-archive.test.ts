import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { tarDirectory, tarFile, tarHardLink, tarOf, tarSymlink } from '../../support/tar.js';
import { APP, copyFiles, failureOf, files, layerOf, prepare, ROOT_USER } from './copy-calls.js';
import { shell } from './copy-session.js';

describe('copyFiles that extracts archives', () => {
	const ADD = { extract: true };
	const ARCHIVE = tarOf([
		tarDirectory('in', { uid: 7, mode: 0o750 }),
		tarFile('in/file', 'f', { uid: 7, gid: 8 }),
		tarHardLink('in/twin', 'in/file'),
		tarSymlink('in/link', '/etc/passwd'),
	]);

	test.each([
		['plain', ARCHIVE],
		['gzip', gzipSync(ARCHIVE)],
	])('unpacks a %s archive with its owners', (_, bytes) => {
		expect(layerOf(files({ 'x.tgz': bytes }), copyFiles(['x.tgz'], '/opt/x', ADD))).toEqual([
			'directory 755 0:0 opt/x/',
			'directory 750 7:0 opt/x/in/',
			'file 644 7:8 opt/x/in/file "f"',
			'symlink 777 0:0 opt/x/in/link -> /etc/passwd',
			'link 644 7:8 opt/x/in/twin -> opt/x/in/file',
		]);
	});

	test('keeps modes that a process of the build could not give', () => {
		const add = copyFiles(['x.tar'], '/opt', ADD);
		const bytes = tarOf([tarFile('open', 'x', { mode: 0o666 })]);
		const run = () => shell('builder', ':', ROOT_USER, 'bwrap');
		expect(layerOf(files({ 'x.tar': bytes }), () => prepare('builder'), run, add)).toContain(
			'file 666 0:0 opt/open "x"',
		);
	});

	test('gives all of it to --chown', () => {
		const add = copyFiles(['x.tgz'], '/opt/x', { ...ADD, owner: APP, chown: true });
		const lines = layerOf(files({ 'x.tgz': ARCHIVE }), add);
		for (const line of lines) expect(line).toContain(' 1001:0 ');
	});

	test.each([
		['text', Buffer.from('just text\n')],
		['compressed.json.gz', gzipSync('{"not": "a tar"}'.repeat(100))],
		['empty', Buffer.alloc(0)],
	])('copies %s as it is', (name, bytes) => {
		const [line] = layerOf(files({ [name]: bytes }), copyFiles([name], '/opt/', { ...ADD, intoDirectory: true }));
		expect(line).toContain(`opt/${name} ${JSON.stringify(bytes.toString('latin1'))}`);
	});

	test.each([
		['../out', tarOf([tarFile('../out', 'x')])],
		['a link that is left', tarOf([tarSymlink('l', '/tmp'), tarFile('l/../../../out', 'x')])],
		['a damaged end', ARCHIVE.subarray(0, 1600)],
	])('refuses an archive with %s', (_, bytes) => {
		expect(failureOf(files({ 'x.tar': bytes }), copyFiles(['x.tar'], '/opt/x', ADD))).toMatch(
			/^SOURCE_INVALID: ADD cannot unpack "x.tar": /,
		);
	});

	test('keeps what goes through a link of the archive below the destination', () => {
		const bytes = tarOf([tarSymlink('l', '/opt'), tarFile('l/file', 'x')]);
		expect(layerOf(files({ 'x.tar': bytes }), copyFiles(['x.tar'], '/opt/x', ADD))).toEqual([
			'directory 755 0:0 opt/x/',
			'symlink 777 0:0 opt/x/l -> /opt',
			'directory 755 0:0 opt/x/opt/',
			'file 644 0:0 opt/x/opt/file "x"',
		]);
	});

	test.each([
		['bzip2', 'BZh91AY'],
		['xz', '\xfd7zXZ\0'],
	])('names %s, which it cannot unpack', (name, start) => {
		const fill = (source: string) => writeFileSync(join(source, 'x'), Buffer.from(start, 'latin1'));
		expect(failureOf(fill, copyFiles(['x'], '/opt/x', ADD))).toBe(
			`SOURCE_INVALID: ADD cannot unpack "x": it is compressed by ${name}`,
		);
	});
});

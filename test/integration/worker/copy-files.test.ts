import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BASE, copyFiles, failureOf, files, layerOf, mount } from './copy-calls.js';
import { fillDirectory, openCopySession } from './copy-session.js';

describe('copyFiles', () => {
	test('copies what is in a directory, and a file under the name of its destination', () => {
		const fill = files({ 'dir/a': 'a', 'dir/.hidden/b': 'b', '600 c': 'c' });
		expect(layerOf(fill, copyFiles(['dir'], '/opt/x'), copyFiles(['c'], '/opt/x/d'))).toEqual([
			'directory 755 0:0 opt/x/',
			'directory 755 0:0 opt/x/.hidden/',
			'file 644 0:0 opt/x/.hidden/b "b"',
			'file 644 0:0 opt/x/a "a"',
			'file 600 0:0 opt/x/d "c"',
		]);
	});

	test('puts a file into a directory that is there, through the links of the image', () => {
		expect(layerOf(files({ c: 'c' }), copyFiles(['c'], '/opt/link'), copyFiles(['c'], '/opt/absolute/d'))).toEqual([
			'file 644 0:0 opt/app/c "c"',
			'file 644 0:0 opt/app/d "c"',
		]);
		expect(layerOf(files({ 'lib/x.so': 'x' }), copyFiles([''], '/'))).toEqual(['file 644 0:0 usr/lib/x.so "x"']);
	});

	test('keeps links, hard links and modes, and no times later than the epoch', () => {
		const fill = (source: string) => {
			fillDirectory(source, { '4755 t/s': 's', '644 t/h': 'h' });
			symlinkSync('/etc/passwd', join(source, 't/out'));
			linkSync(join(source, 't/h'), join(source, 't/h2'));
			mkdirSync(join(source, 't/empty'), 0o700);
		};
		expect(layerOf(fill, copyFiles(['t'], '/opt/x'))).toEqual([
			'directory 755 0:0 opt/x/',
			'directory 700 0:0 opt/x/empty/',
			'file 644 0:0 opt/x/h "h"',
			'link 644 0:0 opt/x/h2 -> opt/x/h',
			'symlink 777 0:0 opt/x/out -> /etc/passwd',
			'file 4755 0:0 opt/x/s "s"',
		]);
	});

	test('follows a link that it is told to copy, and only inside of the source', () => {
		const fill = (source: string) => {
			fillDirectory(source, { 'real/a': 'a' });
			symlinkSync('real', join(source, 'inside'));
			symlinkSync('/etc/passwd', join(source, 'outside'));
			symlinkSync('../../../../../../etc/passwd', join(source, 'up'));
		};
		expect(layerOf(fill, copyFiles(['inside'], '/opt/x')).at(-1)).toBe('file 644 0:0 opt/x/a "a"');
		for (const name of ['outside', 'up', 'none']) {
			expect(failureOf(fill, copyFiles([name], '/opt/x'))).toBe(
				`SOURCE_NOT_FOUND: the source has no "${name}", which the image wants to copy`,
			);
		}
	});

	test('never leaves the root of the image', () => {
		const name = `s2oci-${process.pid}-escaped`;
		const lines = layerOf(files({ c: 'c' }), copyFiles(['c'], `/opt/up/${name}`), copyFiles(['c'], `/../../${name}-2`));
		expect(lines).toEqual([`file 644 0:0 ${name} "c"`, `file 644 0:0 ${name}-2 "c"`]);
	});

	test.each(['/proc/x', '/dev/x', '/sys', '/opt/up/proc/self/x'])(
		"refuses %s, which is the kernel's",
		(destination) => {
			expect(failureOf(files({ c: 'c' }), copyFiles(['c'], destination))).toMatch(
				/^IMAGE_UNSUPPORTED: .*"\/(?:proc|dev|sys)/,
			);
		},
	);

	test('does not replace a directory by a file', () => {
		expect(failureOf(files({ app: 'x' }), copyFiles([''], '/opt'))).toMatch(
			/^IMAGE_UNSUPPORTED: .*"\/opt\/app" of the image, which is a directory/,
		);
	});

	test('leaves out what is no file, directory or link, and says so', () => {
		using session = openCopySession('ourselves', (source) => {
			fillDirectory(source, { 'd/a': 'a' });
			execFileSync('mkfifo', [join(source, 'd/pipe')]);
		});
		const calls = [mount('builder'), copyFiles(['d'], '/opt/x')(session.source)];
		expect(session.run([BASE], calls).responses.at(-1)).toEqual({ copied: 2, skipped: ['opt/x/pipe'] });
	});
});

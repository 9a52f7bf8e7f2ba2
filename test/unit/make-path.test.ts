import { lstatSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makePath } from '../../src/make-path.js';
import { temporaryDirectory } from '../support/fs.js';

test('a directory is made with its parents, and stays when it is there', () => {
	using directory = temporaryDirectory();
	const path = join(directory.path, 'a/b/c');
	for (let round = 0; round < 2; round += 1) makePath(path, 0o700);
	expect(lstatSync(join(directory.path, 'a')).mode & 0o777).toBe(0o700);
	symlinkSync(path, join(directory.path, 'link'));
	makePath(join(directory.path, 'link/d'));
	expect(readdirSync(path)).toEqual(['d']);
});

test.each(['/proc/1/a/b', '/proc/self/a', '/sys/a/b', '/dev/null/a'])('%s cannot be made, and that is told', (path) => {
	expect(() => makePath(path)).toThrow(/ENOENT|EPERM|EACCES|ENOTDIR|EROFS/);
});

test('a file in the way is told, and so is a link that leads nowhere', () => {
	using directory = temporaryDirectory();
	writeFileSync(join(directory.path, 'file'), '');
	symlinkSync('/nonexistent/x', join(directory.path, 'link'));
	expect(() => makePath(join(directory.path, 'file'))).toThrow(/ENOTDIR/);
	expect(() => makePath(join(directory.path, 'file/a'))).toThrow(/ENOTDIR/);
	expect(() => makePath(join(directory.path, 'link/a'))).toThrow(/ENOENT/);
});

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { skeleton, writeSkeleton } from '../../../src/create/skeleton.js';
import { readTar } from '../../support/built.js';
import { lacking, temporaryDirectory } from '../../support/fs.js';
import { needs } from '../../support/needs.js';

const PATHS = [
	's2i/bin/assemble',
	's2i/bin/run',
	's2i/bin/save-artifacts',
	's2i/bin/usage',
	'Dockerfile',
	'Makefile',
	'README.md',
	'test/run',
	'test/test-app/index.html',
];

test('the skeleton has the files of s2i, scripts executable', async () => {
	using directory = temporaryDirectory();
	const destination = join(directory.path, 'new', 'builder');
	await writeSkeleton(destination, 'team/my-builder');
	const executable = PATHS.filter((path) => (statSync(join(destination, path)).mode & 0o777) === 0o755);
	expect(executable).toEqual([...PATHS.filter((path) => path.startsWith('s2i/bin/')), 'test/run']);
	expect(readFileSync(join(destination, 'Makefile'), 'utf8')).toContain('IMAGE_NAME := team/my-builder\n');
});

test('the skeleton is these files and no other, and all of them name the image where they should', () => {
	const files = skeleton('team/my-builder');
	expect(files.map(({ path }) => path).sort()).toEqual([...PATHS].sort());
	expect(files.filter(({ text }) => text.includes('@IMAGE@'))).toEqual([]);
});

const scripts = skeleton('my-builder').filter(({ mode }) => mode === 0o755);

test.each(scripts)('$path is a script that sh can read', ({ text }) => {
	expect(text).toMatch(/^#!\/bin\/sh\n/);
	expect(execFileSync('sh', ['-n'], { input: text, encoding: 'utf8' })).toBe('');
});

test.for(scripts)('shellcheck has nothing to say of $path', ({ text }, context) => {
	needs(context, lacking('shellcheck') === undefined, 'shellcheck is not installed');
	expect(execFileSync('shellcheck', ['-'], { input: text, encoding: 'utf8' })).toBe('');
});

test('its save-artifacts writes a valid tar without entries', async () => {
	const { text = '' } = skeleton('x').find(({ path }) => path === 's2i/bin/save-artifacts') ?? {};
	const tar = execFileSync('sh', { input: text });
	expect(tar).toHaveLength(1024);
	expect((await readTar(tar)).size).toBe(0);
	expect(execFileSync('tar', ['-tf', '-'], { input: tar, encoding: 'utf8' })).toBe('');
});

test('nothing is written when anything would be overwritten, even a broken link', async () => {
	using directory = temporaryDirectory();
	writeFileSync(join(directory.path, 'README.md'), 'mine');
	symlinkSync('/nonexistent', join(directory.path, 'Makefile'));
	await expect(writeSkeleton(directory.path, 'x')).rejects.toMatchObject({
		code: 'USAGE',
		message: `Makefile, README.md of ${directory.path} would be overwritten`,
	});
	expect(readFileSync(join(directory.path, 'README.md'), 'utf8')).toBe('mine');
	expect(existsSync(join(directory.path, 's2i'))).toBe(false);
});

test('a destination that cannot be written is OUTPUT_FAILED', async () => {
	using directory = temporaryDirectory();
	writeFileSync(join(directory.path, 'file'), '');
	await expect(writeSkeleton(join(directory.path, 'file'), 'x')).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
});

import { execFileSync } from 'node:child_process';
import {
	chmodSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../../src/errors.js';
import { tarFile, tarHardLink, tarOf, tarSymlink } from '../../support/tar.js';
import { fetch, temporaryDirectory, unpacked, writeFiles } from './repository.js';

/** A directory with all that an archive should keep. */
function makeTree(): string {
	const root = temporaryDirectory();
	writeFiles(root, { 'app.js': 'one', 'bin/run': '#!/bin/sh', 'gr\u00fc\u00df/\u4f60': 'utf8', '.git/config': '' });
	mkdirSync(join(root, 'empty'));
	symlinkSync('../app.js', join(root, 'bin/link'));
	chmodSync(join(root, 'bin/run'), 0o4751);
	for (const name of ['app.js', 'bin/run', 'gr\u00fc\u00df/\u4f60']) utimesSync(join(root, name), 1000, 1_600_000_000);
	return root;
}

async function expectTree(source: string, options: Parameters<typeof fetch>[1] = {}): Promise<void> {
	const { path, work, info } = await fetch(source, options);
	expect(readdirSync(path, { recursive: true, encoding: 'utf8' }).sort()).toEqual(
		['app.js', 'bin', 'bin/link', 'bin/run', 'empty', 'gr\u00fc\u00df', 'gr\u00fc\u00df/\u4f60'].sort(),
	);
	expect(readFileSync(join(path, 'gr\u00fc\u00df/\u4f60'), 'utf8')).toBe('utf8');
	expect(lstatSync(join(path, 'bin/run')).mode & 0o7777).toBe(0o751);
	expect(lstatSync(join(path, 'app.js')).mode & 0o7777).toBe(0o644);
	expect(lstatSync(join(path, 'app.js')).mtimeMs).toBe(1_600_000_000_000);
	expect(readlinkSync(join(path, 'bin/link'))).toBe('../app.js');
	expect(readdirSync(work)).toEqual(['src']);
	expect(info.commit).toBeUndefined();
	expect(info.epoch).toBeGreaterThanOrEqual(1_600_000_000);
}

/** Runs a program in `cwd`, with archive times that depend on no time zone. */
function run(cwd: string, program: string, ...args: readonly string[]): Buffer {
	return execFileSync(program, args, { cwd, env: { ...process.env, TZ: 'UTC' }, maxBuffer: 1 << 28 });
}

const PYTHON_ZIP = `
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as archive:
    for root, directories, files in os.walk('.'):
        for name in directories: archive.write(os.path.join(root, name))
        for name in files:
            path = os.path.join(root, name)
            if os.path.islink(path):
                info = zipfile.ZipInfo(path[2:])
                info.create_system = 3
                info.external_attr = 0o120777 << 16
                archive.writestr(info, os.readlink(path))
            else: archive.write(path)
`;

describe('an archive', () => {
	test.each([
		['tar.gz', '--gzip'],
		['tgz', '--gzip'],
		['tar.zst', '--zstd'],
		['tar', '--format=gnu'],
		['tar', '--format=pax'],
		['tar', '--format=ustar'],
	])(
		'made by tar as .%s with %s is unpacked with modes, times, links and empty directories',
		async (ending, option) => {
			const file = join(temporaryDirectory(), `app.${ending}`);
			run(makeTree(), 'tar', option, '--create', '--file', file, '.');
			await expectTree(file);
		},
	);

	test('made by Python as a zip is unpacked in the same way', async () => {
		const file = join(temporaryDirectory(), 'app.zip');
		run(makeTree(), 'python3', '-c', PYTHON_ZIP, file);
		await expectTree(file);
	});

	test('is known by its content, not its name', async () => {
		const file = join(temporaryDirectory(), 'app.zip');
		run(makeTree(), 'tar', '--gzip', '--create', '--file', file, '.');
		await expectTree(file);
	});

	test('may come from standard input, in any of these forms', async () => {
		const tree = makeTree();
		const zip = join(temporaryDirectory(), 'app.zip');
		run(tree, 'python3', '-c', PYTHON_ZIP, zip);
		for (const option of ['--gzip', '--zstd', '--format=pax']) {
			const bytes = run(tree, 'tar', option, '--create', '--file', '-', '.');
			await expectTree('-', {
				stdin: Readable.from([bytes.subarray(0, 3), bytes.subarray(3, 700), bytes.subarray(700)]),
			});
		}
		await expectTree('-', { stdin: Readable.from([readFileSync(zip)]) });
		const { info } = await fetch('-', { stdin: Readable.from([tarOf([tarFile('a')])]) });
		expect(info.location).toBe('-');
	});

	test('may be at a URL, whose user info and query are in no label', async () => {
		const bytes = run(makeTree(), 'tar', '--gzip', '--create', '--file', '-', '.');
		const asked: string[] = [];
		const url = 'https://ada:s3cret@example.org/app.tar.gz?token=s3cret';
		const http = {
			get: (text: string) => {
				asked.push(text);
				return Promise.resolve({ body: Readable.from([bytes]), url: text });
			},
		};
		await expectTree(url, { http });
		expect((await fetch(url, { http })).info.location).toBe('https://example.org/app.tar.gz');
		expect(asked).toEqual([url, url]);
		const failure = new BuildError('HTTP_NOT_FOUND', 'there is nothing');
		await expect(fetch(url, { http: { get: () => Promise.reject(failure) } })).rejects.toBe(failure);
	});

	test('keeps its top-level directory, which --context-dir names; its rules count there', async () => {
		const root = temporaryDirectory();
		writeFiles(root, { 'app-1.0/a.js': '', 'app-1.0/b.log': '', 'app-1.0/.s2iignore': '*.log', 'app-1.0/tmp/x': '' });
		const file = join(temporaryDirectory(), 'app.tar');
		run(root, 'tar', '--create', '--file', file, 'app-1.0');
		expect(readdirSync((await fetch(file)).path)).toEqual(['app-1.0']);
		const { path, info } = await fetch(file, { contextDir: 'app-1.0', exclude: '^tmp$' });
		expect(readdirSync(path)).toEqual(['.s2iignore', 'a.js']);
		expect(info.contextDir).toBe('app-1.0');
	});

	test('keeps hard links, and the last of two entries with one name', async () => {
		const { path } = await unpacked([
			tarFile('a', 'first'),
			tarHardLink('b', './a'),
			tarFile('c', 'old'),
			tarFile('c', 'new', { mode: 0o755 }),
			tarSymlink('d', 'c'),
			tarFile('d', 'file'),
		]);
		expect(lstatSync(join(path, 'a')).ino).toBe(lstatSync(join(path, 'b')).ino);
		expect(readFileSync(join(path, 'c'), 'utf8')).toBe('new');
		expect(readFileSync(join(path, 'd'), 'utf8')).toBe('file');
		expect(lstatSync(join(path, 'd')).isFile()).toBe(true);
		expect(readFileSync(join(path, 'c'), 'utf8')).toBe('new');
	});

	test('may be made by git archive, whose global header says nothing of files', async () => {
		const members = [
			{ name: 'pax_global_header', flag: 'g', body: '52 comment=0123456789012345678901234567890123456789\n' },
		];
		const { path } = await unpacked([...members, tarFile('a')]);
		expect(readdirSync(path)).toEqual(['a']);
	});

	test.each([
		['xz', 'xz'],
		['bz2', 'bzip2'],
	])('compressed as .%s is refused with a way out', async (ending, program) => {
		const file = join(temporaryDirectory(), `app.tar.${ending}`);
		writeFileSync(file, Buffer.from(ending === 'xz' ? 'fd377a585a000000' : '425a683931415926', 'hex'));
		await expect(fetch(file)).rejects.toMatchObject({
			code: 'SOURCE_INVALID',
			hint: expect.stringContaining(`${program} -dc`) as string,
		});
	});

	test('that is empty, damaged or cut short is refused', async () => {
		const whole = gzipSync(tarOf([tarFile('a', Buffer.alloc(5000, 1))]));
		for (const bytes of [
			Buffer.alloc(0),
			Buffer.from('<!DOCTYPE html><html>not an archive'.padEnd(600)),
			whole.subarray(0, whole.length - 20),
			Buffer.from('1f8b0800', 'hex'),
			Buffer.concat([Buffer.from('504b0304', 'hex'), Buffer.alloc(100)]),
			Buffer.concat([Buffer.from('28b52ffd', 'hex'), Buffer.alloc(100, 7)]),
		]) {
			const failed = fetch('-', { stdin: Readable.from(bytes.length === 0 ? [] : [bytes]) });
			await expect(failed).rejects.toMatchObject({
				code: 'SOURCE_INVALID',
				message: expect.stringMatching(/^the archive standard input cannot be used: (?!.*layer)/) as string,
			});
		}
	});
});

import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decompress } from '../../../src/tar/decompress.js';
import { createGzipWriter } from '../../../src/tar/gzip.js';
import { lacking, temporaryDirectory } from '../../support/fs.js';
import { chunksOf, cutAt } from '../../support/tar.js';
import { type Member, readTar, tarEntry, writeTar } from '../../unit/tar/entries.js';

const LONG = 'a-long-name-that-needs-more-than-a-hundred-bytes/'.repeat(3);
const run = (program: string, args: readonly string[], input?: Buffer) =>
	execFileSync(program, args, {
		stdio: ['pipe', 'pipe', 'ignore'],
		input,
		maxBuffer: 1 << 26,
		env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
	});

/** One line an entry, as `tar --list --verbose --numeric-owner --full-time --quoting-style=escape` prints it. */
function listing({ entry }: Member): string {
	const letter = { file: '-', link: 'h', symlink: 'l', character: 'c', block: 'b', directory: 'd', fifo: 'p' }[
		entry.type
	];
	const bits = Array.from('rwxrwxrwx', (bit, index) => ((entry.mode >> (8 - index)) & 1 ? bit : '-')).join('');
	const arrow = { link: ' link to ', symlink: ' -> ' }[entry.type as string] ?? '';
	const time = new Date(Math.floor(entry.mtime) * 1000).toISOString().slice(0, 19).replace('T', ' ');
	return `${letter}${bits} ${entry.uid}/${entry.gid} ${entry.size} ${time} ${entry.path}${arrow}${entry.linkPath}`;
}

function listedByTar(archive: Buffer): readonly string[] {
	const options = ['--list', '--verbose', '--numeric-owner', '--full-time', '--quoting-style=literal', '--file=-'];
	const lines = run('tar', options, archive).toString('latin1').trimEnd().split('\n');
	return lines.map((line) => line.replace(/^(\S+ \S+) +(\d+ \S+ [\d:]+)[.\d]* +/, '$1 $2 '));
}

function fill(directory: string): void {
	mkdirSync(join(directory, LONG), { recursive: true });
	writeFileSync(join(directory, LONG, 'file'), 'x'.repeat(1000));
	writeFileSync(join(directory, 'empty'), '');
	writeFileSync(join(directory, 'h\u00e4\u00df'), 'y');
	chmodSync(join(directory, 'empty'), 0o600);
	symlinkSync(`${LONG}file`, join(directory, 'long-link'));
	symlinkSync('empty', join(directory, 'link'));
	linkSync(join(directory, 'empty'), join(directory, 'same'));
	run('mkfifo', [join(directory, 'pipe')]);
	utimesSync(join(directory, 'empty'), 1_000_000_000, 1_000_000_000);
}

describe('GNU tar, as an oracle', () => {
	test.each(['gnu', 'pax', 'posix', 'oldgnu'])('lists what we read from its %s archives', (format) => {
		expect(lacking('tar', 'mkfifo')).toBeUndefined();
		using directory = temporaryDirectory();
		fill(directory.path);
		const archive = run('tar', [
			`--format=${format}`,
			'--sort=name',
			'--create',
			'--file=-',
			'-C',
			directory.path,
			'.',
		]);
		expect(readTar([archive]).map(listing)).toEqual(listedByTar(archive));
	});

	test('lists what we read from its ustar archives', () => {
		using directory = temporaryDirectory();
		mkdirSync(join(directory.path, 'd'.repeat(90), 'e'.repeat(50)), { recursive: true });
		writeFileSync(join(directory.path, 'd'.repeat(90), 'e'.repeat(50), 'f'), 'prefix');
		const archive = run('tar', ['--format=ustar', '--sort=name', '--create', '--file=-', '-C', directory.path, '.']);
		expect(readTar([archive]).map(listing)).toEqual(listedByTar(archive));
	});

	test('lists what we write as we meant it', () => {
		const body = Buffer.from('content');
		const members: readonly Member[] = [
			{ entry: tarEntry({ path: 'd/', type: 'directory', mode: 0o755, mtime: 1 }), body: Buffer.alloc(0) },
			{ entry: tarEntry({ path: `d/${'f'.repeat(150)}`, size: 7, uid: 2 ** 31, gid: 0o10000000 }), body },
			{
				entry: tarEntry({ path: 'l', type: 'symlink', mode: 0o777, linkPath: 't'.repeat(200) }),
				body: Buffer.alloc(0),
			},
			{ entry: tarEntry({ path: 'h', type: 'link', linkPath: `d/${'f'.repeat(150)}` }), body: Buffer.alloc(0) },
			{ entry: tarEntry({ path: 'p', type: 'fifo', mtime: -86_400 }), body: Buffer.alloc(0) },
			{ entry: tarEntry({ path: `\xff\xfe${'b'.repeat(120)}`, mtime: 2 ** 34 }), body: Buffer.alloc(0) },
		];
		expect(listedByTar(writeTar(members))).toEqual(members.map(listing));
	});

	test('extracts what we write', () => {
		using directory = temporaryDirectory();
		const body = Buffer.from('content');
		const xattrs = new Map([['user.binary', Buffer.from([0, 10, 255])]]);
		const archive = writeTar([{ entry: tarEntry({ path: 'a/b', size: 7, xattrs }), body }]);
		run('tar', ['--extract', '--xattrs', '--file=-', '-C', directory.path], archive);
		expect(run('cat', [join(directory.path, 'a/b')]).toString()).toBe('content');
	});
});

describe('gzip and zstd, as oracles', () => {
	const content = Buffer.concat([Buffer.alloc(3_000_000, 'words that repeat '), Buffer.from(String(Math.PI))]);

	async function expand(compression: 'gzip' | 'zstd', bytes: Buffer): Promise<Buffer> {
		using directory = temporaryDirectory();
		const parts: Buffer[] = [];
		const input = chunksOf(cutAt(bytes, [1, 5, 1000]));
		for await (const part of decompress(
			compression,
			input,
			join(directory.path, 'spool'),
			new AbortController().signal,
		)) {
			parts.push(Buffer.from(part));
		}
		return Buffer.concat(parts);
	}

	test('gzip accepts what we compress', async () => {
		const output: Buffer[] = [];
		const writer = createGzipWriter((chunk) => void output.push(Buffer.from(chunk)));
		await writer.write(content);
		await writer.end();
		const compressed = Buffer.concat(output);
		expect(() => run('gzip', ['--test'], compressed)).not.toThrow();
		expect(run('gzip', ['--decompress', '--stdout'], compressed).equals(content)).toBe(true);
	});

	test.each(['-1', '-9'])('we expand what gzip %s compresses', async (level) => {
		expect((await expand('gzip', run('gzip', [level, '--stdout'], content))).equals(content)).toBe(true);
	});

	test.each(['-1', '-19', '--no-check', '--long=27'])('we expand what zstd %s compresses', async (option) => {
		expect(lacking('zstd')).toBeUndefined();
		expect((await expand('zstd', run('zstd', [option, '-q', '-c'], content))).equals(content)).toBe(true);
	});

	test('we expand zstd of many frames', async () => {
		const frames = ['one', '', 'two'].map((text) => run('zstd', ['-q', '-c'], Buffer.from(text)));
		expect((await expand('zstd', Buffer.concat(frames))).toString()).toBe('onetwo');
	});

	test('we refuse zstd that was damaged anywhere, or give the right bytes', async () => {
		const whole = run('zstd', ['-q', '-c'], content);
		for (let at = 4; at < whole.length; at += 7) {
			const bytes = Buffer.from(whole);
			bytes[at] = (bytes[at] ?? 0) ^ 0x55;
			const result = await expand('zstd', bytes).catch((error: unknown) => error);
			if (Buffer.isBuffer(result)) continue;
			expect(result).toMatchObject({ code: 'LAYER_INVALID' });
		}
	});
});

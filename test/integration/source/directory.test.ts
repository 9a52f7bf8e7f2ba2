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
import { expect, test } from 'vitest';
import { fetch, temporaryDirectory, writeFiles } from './repository.js';

const NOBODY = 65534;

test('a directory is copied with modes, mtimes, empty directories and inner links', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { 'app.js': 'one', 'bin/run': '#!/bin/sh' });
	mkdirSync(join(source, 'empty'));
	symlinkSync('../app.js', join(source, 'bin/link'));
	chmodSync(join(source, 'bin/run'), 0o751);
	chmodSync(join(source, 'bin'), 0o555);
	for (const path of ['app.js', 'bin/run', 'bin']) utimesSync(join(source, path), 1000, 1_600_000_000.5);
	const { path, info } = await fetch(source);
	expect(readdirSync(path)).toEqual(['app.js', 'bin', 'empty']);
	expect(readlinkSync(join(path, 'bin/link'))).toBe('../app.js');
	expect(lstatSync(join(path, 'bin/run')).mode & 0o7777).toBe(0o751);
	expect(lstatSync(join(path, 'bin')).mode & 0o7777).toBe(0o555);
	expect(lstatSync(join(path, 'bin')).mtimeMs).toBe(1_600_000_000_500);
	expect(lstatSync(join(path, 'app.js')).mtimeMs).toBe(1_600_000_000_500);
	expect(info.location).toBe(source);
	expect(info.epoch).toBe(Math.floor(lstatSync(join(source, 'bin/link')).mtimeMs / 1000));
});

test('the epoch is the newest mtime of what is built', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { 'app.js': 'one', 'old.js': 'two', 'new.log': 'three', '.s2iignore': '*.log' });
	utimesSync(join(source, 'app.js'), 1000, 1_600_000_000.9);
	for (const path of ['old.js', '.s2iignore']) utimesSync(join(source, path), 1000, 1_500_000_000);
	expect((await fetch(source)).info.epoch).toBe(1_600_000_000);
});

test('names that are not UTF-8 are copied byte by byte', async () => {
	const source = temporaryDirectory();
	const name = Buffer.concat([Buffer.from(`${source}/caf`), Buffer.from([0xe9])]);
	writeFileSync(name, 'latin');
	const { path } = await fetch(source);
	expect(readdirSync(path, { encoding: 'latin1' })).toEqual(['caf\u00e9']);
});

test('links that leave the source are refused by name', async () => {
	for (const target of ['/etc/passwd', '../outside', 'a/../../outside']) {
		const source = temporaryDirectory();
		mkdirSync(join(source, 'a'));
		symlinkSync(target, join(source, 'leak'));
		await expect(fetch(source)).rejects.toMatchObject({
			code: 'SOURCE_INVALID',
			message: `leak is a symbolic link that leaves the source, to ${target}`,
		});
		writeFiles(source, { '.s2iignore': 'leak' });
		expect(readdirSync((await fetch(source)).path)).toEqual(['.s2iignore', 'a']);
	}
});

test('a FIFO is refused by name instead of being waited for', async () => {
	const source = temporaryDirectory();
	execFileSync('mkfifo', [join(source, 'pipe')]);
	await expect(fetch(source)).rejects.toMatchObject({
		code: 'SOURCE_INVALID',
		message: 'pipe is a FIFO, which cannot be built',
	});
});

test('a file that cannot be read fails the build', async () => {
	await unprivileged(async () => {
		const source = temporaryDirectory();
		writeFiles(source, { secret: 'x' });
		chmodSync(join(source, 'secret'), 0);
		await expect(fetch(source)).rejects.toMatchObject({
			code: 'SOURCE_INVALID',
			message: 'secret cannot be read: EACCES',
		});
	});
});

test('a store inside the source is refused unless .s2iignore names it', async () => {
	const source = temporaryDirectory();
	const destination = join(source, 'cache/work/src');
	mkdirSync(destination, { recursive: true });
	writeFiles(source, { 'app.js': 'one' });
	await expect(fetch(source, { destination })).rejects.toMatchObject({
		code: 'SOURCE_INVALID',
		message: 'the store is inside the source, at "cache"',
	});
	writeFiles(source, { '.s2iignore': '/cache/' });
	await fetch(source, { destination });
	expect(readdirSync(destination)).toEqual(['.s2iignore', 'app.js']);
	expect(readFileSync(join(destination, 'app.js'), 'utf8')).toBe('one');
});

test('a single file is not a source', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { 'app.js': 'one' });
	await expect(fetch(join(source, 'app.js'))).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
});

/** Root can read every file, so as root this is done with the effective ids of nobody. */
async function unprivileged(work: () => Promise<void>): Promise<void> {
	if (process.getuid?.() !== 0) return work();
	process.setegid?.(NOBODY);
	process.seteuid?.(NOBODY);
	try {
		await work();
	} finally {
		process.seteuid?.(0);
		process.setegid?.(0);
	}
}

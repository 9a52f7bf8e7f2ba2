import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
	chmodSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	rmSync,
	symlinkSync,
	truncateSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { latin1Path, type RootPath, rawPath } from '../../../src/root-path.js';
import { copyEntry } from '../../../src/source/directory.js';
import { needs } from '../../support/needs.js';
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

test('a link that leaves the source becomes a copy of what it points to, and one notice names them all', async () => {
	const shared = temporaryDirectory();
	writeFiles(shared, { 'lib/a.js': 'shared', 'file.txt': 'text' });
	chmodSync(join(shared, 'lib/a.js'), 0o640);
	utimesSync(join(shared, 'lib/a.js'), 1000, 1_600_000_000);
	symlinkSync('a.js', join(shared, 'lib/inner'));
	symlinkSync('../file.txt', join(shared, 'lib/again'));
	const source = temporaryDirectory();
	writeFiles(source, { 'real.js': 'mine', 'x/y': '' });
	symlinkSync(join(shared, 'lib'), join(source, 'lib'));
	symlinkSync(join(source, 'real.js'), join(source, 'x/absolute'));
	symlinkSync('../real.js', join(source, 'x/inside'));
	const { path, notices } = await fetch(source);
	expect(readdirSync(path)).toEqual(['lib', 'real.js', 'x']);
	expect(lstatSync(join(path, 'lib')).isDirectory()).toBe(true);
	expect(lstatSync(join(path, 'lib/a.js'))).toMatchObject({ mtimeMs: 1_600_000_000_000 });
	expect(lstatSync(join(path, 'lib/a.js')).mode & 0o777).toBe(0o640);
	expect(readlinkSync(join(path, 'lib/inner'))).toBe('a.js');
	expect(lstatSync(join(path, 'lib/again')).isFile()).toBe(true);
	expect(readFileSync(join(path, 'lib/again'), 'utf8')).toBe('text');
	expect(readFileSync(join(path, 'x/absolute'), 'utf8')).toBe('mine');
	expect(lstatSync(join(path, 'x/absolute')).isFile()).toBe(true);
	expect(readlinkSync(join(path, 'x/inside'))).toBe('../real.js');
	expect(notices).toEqual([
		'links that leave the source are built as copies (lib, lib/again, x/absolute); keep them with --keep-symlinks',
		'links inside the source stay links (lib/inner, x/inside), where S2I builds copies of what they point to: ' +
			'if assemble cannot do with links, replace them by copies in the source',
	]);
});

test('where all links stay inside, the notice names the option that makes the same image without it', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { a: 'text' });
	symlinkSync('a', join(source, 'b'));
	const [plain, kept] = [await fetch(source), await fetch(source, { keepSymlinks: true })];
	expect(plain.notices).toEqual([
		expect.stringMatching(/^links inside the source stay links \(b\), .*--keep-symlinks says that links are meant/),
	]);
	expect(kept.notices).toEqual([]);
	for (const { path } of [plain, kept]) expect(readlinkSync(join(path, 'b'))).toBe('a');
});

test('a directory without links has no notice of them', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { 'a/b': 'text' });
	expect((await fetch(source)).notices).toEqual([]);
});

test('--keep-symlinks keeps every link and follows none', async () => {
	const source = temporaryDirectory();
	for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, join(source, name));
	const { path, notices } = await fetch(source, { keepSymlinks: true });
	expect(Object.fromEntries(readdirSync(path).map((name) => [name, readlinkSync(join(path, name))]))).toEqual(LINKS);
	expect(notices).toEqual([]);
});

const LINKS = { absolute: '/etc/passwd', broken: 'nowhere', outside: '../outside', up: 'a/../../b' };

test('links that lead nowhere, or to a device, remain links', async () => {
	const source = temporaryDirectory();
	const links = { away: '/nonexistent/file', broken: 'nowhere', loop: join(source, 'loop'), null: '/dev/null' };
	for (const [name, target] of Object.entries(links)) symlinkSync(target, join(source, name));
	const { path, notices } = await fetch(source);
	expect(Object.fromEntries(readdirSync(path).map((name) => [name, readlinkSync(join(path, name))]))).toEqual(links);
	expect(notices).toEqual([]);
});

test('a link to what holds the source, the store or itself is refused instead of being copied for ever', async () => {
	const parent = temporaryDirectory();
	const source = join(parent, 'source');
	const shared = temporaryDirectory();
	mkdirSync(source);
	const refused = {
		code: 'SOURCE_INVALID',
		message: expect.stringContaining('holds the link itself or the store') as string,
	};
	for (const target of ['..', '/', source]) {
		symlinkSync(target, join(source, 'up'));
		await expect(fetch(source)).rejects.toMatchObject(refused);
		rmSync(join(source, 'up'));
	}
	symlinkSync(shared, join(source, 'shared'));
	symlinkSync(source, join(shared, 'back'));
	await expect(fetch(source)).rejects.toMatchObject(refused);
	writeFiles(source, { '.s2iignore': 'shared/back' });
	expect(readdirSync(join((await fetch(source)).path, 'shared'))).toEqual([]);
	const destination = join(shared, 'work/src');
	mkdirSync(destination, { recursive: true });
	await expect(fetch(source, { destination })).rejects.toMatchObject(refused);
});

test('ignore rules and --exclude count for the paths below a followed link as for all others', async () => {
	const shared = temporaryDirectory();
	writeFiles(shared, { 'keep.js': '', 'drop.log': '', '.git/config': '', 'tmp/x': '' });
	const source = temporaryDirectory();
	symlinkSync(shared, join(source, 'shared'));
	writeFiles(source, { '.s2iignore': 'shared/*.log' });
	expect(readdirSync(join((await fetch(source)).path, 'shared'))).toEqual(['keep.js', 'tmp']);
	expect(readdirSync(join((await fetch(source, { exclude: 'red/tmp$' })).path, 'shared'))).toEqual(['.git', 'keep.js']);
});

test('setuid and setgid are dropped', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { program: 'x', 'group/file': '' });
	chmodSync(join(source, 'program'), 0o6755);
	chmodSync(join(source, 'group'), 0o3775);
	const { path } = await fetch(source);
	expect(lstatSync(join(path, 'program')).mode & 0o7777).toBe(0o755);
	expect(lstatSync(join(path, 'group')).mode & 0o7777).toBe(0o1775);
});

test('--exclude matches paths of the context directory, and an excluded directory is gone with all in it', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { 'web/tmp/a': '', 'web/.git/config': '', 'web/app.js': '', 'web/x/tmp/b': '', 'web/x/y': '' });
	const built = async (exclude?: string) => {
		const { path } = await fetch(source, { contextDir: 'web', exclude });
		return readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
	};
	const all = ['app.js', 'tmp', 'tmp/a', 'x', 'x/tmp', 'x/tmp/b', 'x/y'];
	expect(await built()).toEqual(all);
	expect(await built('')).toEqual(['.git', '.git/config', ...all]);
	expect(await built('^tmp|[.]git')).toEqual(['app.js', 'x', 'x/tmp', 'x/tmp/b', 'x/y']);
	expect(await built('web')).toEqual(['.git', '.git/config', ...all]);
	await expect(fetch(source, { exclude: '(' })).rejects.toMatchObject({ code: 'USAGE' });
});

test('ignored scripts are still there for discovery and are named; ignored settings are gone', async () => {
	const files = { '.s2i/bin/run': '', '.s2i/bin/lib/x': '', '.s2i/environment': 'A=1', 'app.js': '' };
	const built = async (rules: string) => {
		const source = temporaryDirectory();
		writeFiles(source, { ...files, '.s2iignore': rules });
		const { path, info } = await fetch(source);
		const found = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.startsWith('.s2i/'));
		return [found.sort(), info.ignoredScripts];
	};
	const all = ['.s2i/bin', '.s2i/bin/lib', '.s2i/bin/lib/x', '.s2i/bin/run', '.s2i/environment'];
	expect(await built('')).toEqual([all, []]);
	expect(await built('.s2i')).toEqual([['.s2i/bin', '.s2i/bin/lib', '.s2i/bin/run'], ['.s2i']]);
	expect(await built('.s2i/*')).toEqual([['.s2i/bin', '.s2i/bin/lib', '.s2i/bin/run'], ['.s2i/bin']]);
	expect(await built('.s2i/bin/run')).toEqual([all, ['.s2i/bin/run']]);
	expect(await built('.s2i/environment')).toEqual([all.slice(0, -1), []]);
	expect(await built('*\n!app.js')).toEqual([['.s2i/bin', '.s2i/bin/lib', '.s2i/bin/run'], ['.s2i']]);
});

test('sockets and FIFOs are left out with a notice that names them, and never waited for', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { 'app.js': '', 'tmp/.keep': '', 'ignored/.keep': '', '.s2iignore': 'ignored' });
	for (const name of ['pipe', 'ignored/pipe']) execFileSync('mkfifo', [join(source, name)]);
	const server = createServer().listen(join(source, 'tmp/puma.sock'));
	onTestFinished(() => void server.close());
	await once(server, 'listening');
	symlinkSync('pipe', join(source, 'link'));
	const { path, notices } = await fetch(source);
	expect(readdirSync(path, { recursive: true }).sort()).toEqual(['.s2iignore', 'app.js', 'link', 'tmp', 'tmp/.keep']);
	expect(notices).toEqual(['sockets and FIFOs of the source are left out (pipe, tmp/puma.sock)']);
});

test('a device is refused by name', async (context) => {
	needs(context, process.getuid?.() === 0, 'only root can make a device');
	const source = temporaryDirectory();
	execFileSync('mknod', [join(source, 'null'), 'c', '1', '3']);
	await expect(fetch(source)).rejects.toMatchObject({
		code: 'SOURCE_INVALID',
		message: 'null is a device, which cannot be built',
	});
});

test('what vanishes while it is copied is no failure', async () => {
	const source = temporaryDirectory();
	for (let index = 0; index < 300; index++) writeFiles(source, { [`d${index}/file`]: 'x' });
	const fetching = fetch(source);
	for (let index = 299; index >= 0; index -= 2) {
		rmSync(join(source, `d${index}`), { recursive: true });
		if (index % 20 === 1) await new Promise((done) => void setImmediate(done));
	}
	const names = readdirSync((await fetching).path);
	expect(names).toEqual(expect.arrayContaining(Array.from({ length: 150 }, (_none, index) => `d${2 * index}`)));
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

test('holes of a large file stay holes, and a stop in the middle of it is what a fetch ends with', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { 'disk.img': 'boot', 'app.js': 'one' });
	truncateSync(join(source, 'disk.img'), 12 * 1024 ** 3);
	const { path } = await fetch(source);
	const { size, blocks } = lstatSync(join(path, 'disk.img'));
	expect({ size, isSparse: blocks <= 16 }).toEqual({ size: 12 * 1024 ** 3, isSparse: true });
	expect((await fetch(join(source, 'disk.img'))).info.ignoredScripts).toEqual([]);
	const stop = new AbortController();
	const reason = new Error('stopped');
	const file = { path: latin1Path('disk.img') as RootPath, host: rawPath(join(source, 'disk.img')) };
	const entry = { ...file, type: 'file', mode: 0o644, mtime: 0, size } as const;
	const copying = copyEntry(entry, join(path, 'copy'), stop.signal);
	stop.abort(reason);
	await expect(copying).rejects.toBe(reason);
});

test('a single file is the whole source', async () => {
	const source = temporaryDirectory();
	writeFiles(source, { 'app.war': 'binary' });
	chmodSync(join(source, 'app.war'), 0o4751);
	utimesSync(join(source, 'app.war'), 1000, 1_600_000_000.5);
	const { path, info } = await fetch(join(source, 'app.war'));
	expect(readdirSync(path)).toEqual(['app.war']);
	expect(lstatSync(join(path, 'app.war')).mode & 0o7777).toBe(0o751);
	expect(info).toEqual({ location: join(source, 'app.war'), epoch: 1_600_000_000, ignoredScripts: [] });
	const below = fetch(join(source, 'app.war'), { contextDir: 'web' });
	await expect(below).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
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

import { once } from 'node:events';
import {
	chmodSync,
	existsSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isBuildError } from '../../../src/errors.js';
import { fetchSource } from '../../../src/source/fetch.js';
import { commit, fetch, GIT_ENV, git, makeRepository, PLAIN, temporaryDirectory, writeFiles } from './repository.js';

test('a local repository is cloned without .git, and its commit is described', async () => {
	const repository = makeRepository({ 'app.js': 'one', 'deep/file': 'two' });
	const { path, work, info, notices } = await fetch(repository);
	expect(readdirSync(path)).toEqual(['app.js', 'deep']);
	expect(readdirSync(work)).toEqual(['src']);
	expect(info).toEqual({
		location: repository,
		commit: git(repository, 'rev-parse', 'HEAD'),
		ref: 'main',
		author: 'Ada <ada@example.org>',
		date: 'Mon May 6 07:08:09 2024 +0200',
		message: 'First',
		epoch: 1714972090,
		ignoredScripts: [],
	});
	expect(notices).toEqual([]);
});

test('uncommitted and untracked files are not built, and a notice says so', async () => {
	const repository = makeRepository({ 'app.js': 'committed' });
	writeFiles(repository, { 'app.js': 'changed', 'new.js': 'untracked' });
	const { path, notices } = await fetch(repository);
	expect(readFileSync(join(path, 'app.js'), 'utf8')).toBe('committed');
	expect(existsSync(join(path, 'new.js'))).toBe(false);
	expect(notices).toEqual([
		'uncommitted changes are not built (app.js, new.js); commit them, or build them too with --copy',
	]);
});

test('--copy builds the working tree, still without .git', async () => {
	const repository = makeRepository({ 'app.js': 'committed' });
	writeFiles(repository, { 'app.js': 'changed', 'new.js': 'untracked' });
	const { path, info } = await fetch(repository, { copy: true });
	expect(readdirSync(path)).toEqual(['app.js', 'new.js']);
	expect(readFileSync(join(path, 'app.js'), 'utf8')).toBe('changed');
	expect(info.commit).toBeUndefined();
});

test('a branch, a tag, a full and a short commit id, and a ref after # are all found', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const first = git(repository, 'rev-parse', 'HEAD');
	git(repository, 'tag', '-a', 'v1', '-m', 'Version 1');
	git(repository, 'switch', '--quiet', '--create', 'feature/x');
	const second = commit(repository, { 'app.js': 'two' }, 'Second');
	git(repository, 'switch', '--quiet', 'main');
	const commitOf = async (text: string, ref?: string) => (await fetch(text, ref === undefined ? {} : { ref })).info;
	expect(await commitOf(repository, 'feature/x')).toMatchObject({ commit: second, ref: 'feature/x' });
	expect(await commitOf(repository, 'v1')).toMatchObject({ commit: first, ref: 'v1' });
	expect(await commitOf(repository, second)).toMatchObject({ commit: second });
	expect(await commitOf(repository, second.slice(0, 8))).toMatchObject({ commit: second });
	expect(await commitOf(`file://${repository}#feature/x`)).toMatchObject({ commit: second });
	expect(await commitOf(`${repository}#v1`, 'feature/x')).toMatchObject({ commit: second });
});

test('a missing ref fails with advice', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	await expect(fetch(repository, { ref: 'no-such-branch' })).rejects.toMatchObject({
		code: 'SOURCE_GIT',
		message: expect.stringContaining('no-such-branch') as string,
		hint: 'Check --ref: a branch, a tag or a commit of this repository.',
	});
});

test('modes do not depend on the umask, and executable bits and links are kept', async () => {
	const repository = makeRepository({ 'run.sh': '#!/bin/sh', 'data/file': 'x' });
	chmodSync(join(repository, 'run.sh'), 0o700);
	symlinkSync('/etc/passwd', join(repository, 'link'));
	commit(repository, {}, 'Modes');
	const umask = process.umask(0o077);
	onTestFinished(() => {
		process.umask(umask);
	});
	const { path } = await fetch(repository);
	expect(lstatSync(join(path, 'run.sh')).mode & 0o777).toBe(0o755);
	expect(lstatSync(join(path, 'data')).mode & 0o777).toBe(0o755);
	expect(lstatSync(join(path, 'data/file')).mode & 0o777).toBe(0o644);
	expect(lstatSync(join(path, 'link')).isSymbolicLink()).toBe(true);
});

test('a context directory becomes the root, and its own .s2iignore counts', async () => {
	const repository = makeRepository({
		'.s2iignore': 'keep.txt',
		'web/app.js': 'one',
		'web/keep.txt': 'kept',
		'web/notes.md': 'gone',
		'web/.s2iignore': '*.md\n!README.md',
		'web/README.md': 'read me',
	});
	const { path, info } = await fetch(repository, { contextDir: '/web/' });
	expect(readdirSync(path)).toEqual(['.s2iignore', 'README.md', 'app.js', 'keep.txt']);
	expect(info.contextDir).toBe('web');
	await expect(fetch(repository, { contextDir: 'nothing' })).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
});

test('a context directory that is a symbolic link is refused (CVE-2026-33748)', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	symlinkSync('/etc', join(repository, 'escape'));
	commit(repository, {}, 'Escape');
	for (const contextDir of ['escape', 'escape/ssl', '../..', 'a/../../b']) {
		await expect(fetch(repository, { contextDir })).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
	}
});

test('a .s2iignore that links out of the source is refused, and no pattern deletes outside', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const outside = temporaryDirectory();
	writeFiles(outside, { victim: 'precious' });
	symlinkSync(join(outside, 'victim'), join(repository, '.s2iignore'));
	await expect(fetch(repository, { copy: true })).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
	const patterns = makeRepository({ '.s2iignore': `../*\n${outside}/victim\n..\n/\n.`, 'app.js': 'one' });
	const { path } = await fetch(patterns);
	expect(readdirSync(path)).toEqual(['.s2iignore', 'app.js']);
	expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('precious');
});

test('S2I settings behind a link that leaves the source are refused, and nothing there is touched', async () => {
	const outside = temporaryDirectory();
	writeFiles(outside, { 'bin/assemble': '#!/bin/sh', environment: 'SECRET=1' });
	const links = {
		'.s2i': outside,
		'.sti': outside,
		'.s2i/bin': join(outside, 'bin'),
		'.s2i/environment': join(outside, 'environment'),
	};
	for (const [link, target] of Object.entries(links)) {
		const repository = makeRepository({ 'app.js': 'one' });
		if (link.includes('/')) mkdirSync(join(repository, '.s2i'));
		symlinkSync(target, join(repository, link));
		commit(repository, {}, 'Link');
		await expect(fetch(repository)).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
	}
	expect(readdirSync(outside)).toEqual(['bin', 'environment']);
});

test('hooks and programs that a repository configures are not run', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const trace = join(temporaryDirectory(), 'trace');
	const hook = join(repository, '.git/hooks/post-checkout');
	mkdirSync(join(repository, '.git/hooks'), { recursive: true });
	writeFileSync(hook, `#!/bin/sh\ntouch ${trace}\n`, { mode: 0o755 });
	git(repository, 'config', 'core.fsmonitor', hook);
	await fetch(repository);
	expect(existsSync(trace)).toBe(false);
});

test('variables that point git to another repository do not count', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const other = makeRepository({ 'other.js': 'two' });
	const env = { ...GIT_ENV, GIT_DIR: join(other, '.git'), GIT_WORK_TREE: other };
	expect(readdirSync((await fetch(repository, { env })).path)).toEqual(['app.js']);
});

test('without git a local repository is copied with a notice, and what needs git says so', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	writeFiles(repository, { 'new.js': 'untracked' });
	const env = { PATH: '/nonexistent' };
	const { path, info, notices } = await fetch(repository, { env });
	expect(readdirSync(path)).toEqual(['app.js', 'new.js']);
	expect(info).toEqual((await fetch(repository)).info);
	expect(notices).toEqual(['git is not installed: the directory is copied as it is, with what is not committed']);
	const needsGit = { code: 'SOURCE_GIT', hint: 'Install git, or build a directory with --copy.' };
	await expect(fetch(repository, { env, ref: 'main' })).rejects.toMatchObject(needsGit);
	await expect(fetch('http://127.0.0.1:1/app.git', { env })).rejects.toMatchObject(needsGit);
});

test('an aborted signal is what a fetch ends with', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const reason = new Error('enough');
	const options = { ...PLAIN, destination: temporaryDirectory() };
	const source = { type: 'git', url: repository, local: true } as const;
	await expect(fetchSource(source, options, AbortSignal.abort(reason))).rejects.toBe(reason);
});

test('a password in a URL reaches its own origin only, and no message', async () => {
	const seen: (string | undefined)[] = [];
	const server = createServer((request, response) => {
		seen.push(request.headers.authorization);
		response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
	});
	await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
	onTestFinished(() => {
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	const error: unknown = await fetch(`http://ada:s3cret%21@127.0.0.1:${port}/app.git`).catch(
		(reason: unknown) => reason,
	);
	expect(isBuildError(error, 'SOURCE_GIT')).toBe(true);
	expect(JSON.stringify([String(error), isBuildError(error) ? error.hint : ''])).not.toMatch(/s3cret|ada/);
	expect(seen[0]).toBeUndefined();
	expect(seen).toContain(`Basic ${Buffer.from('ada:s3cret!').toString('base64')}`);
});

test('an abort ends git and its helpers, and leaves the destination empty', async () => {
	const closed: Promise<unknown>[] = [];
	const server = createServer(() => undefined);
	await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
	onTestFinished(() => {
		server.close();
	});
	const reason = new Error('enough');
	const controller = new AbortController();
	server.on('connection', (socket) => {
		closed.push(once(socket, 'close'));
		controller.abort(reason);
	});
	const work = temporaryDirectory();
	const destination = join(work, 'src');
	mkdirSync(destination);
	const { port } = server.address() as AddressInfo;
	const source = { type: 'git', url: `http://127.0.0.1:${port}/app.git`, local: false } as const;
	const options = { ...PLAIN, destination };
	await expect(fetchSource(source, options, controller.signal)).rejects.toBe(reason);
	await Promise.all(closed);
	expect(closed).toHaveLength(1);
	expect(readdirSync(destination)).toEqual([]);
});

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commit, fetch, GIT_ENV, git, makeRepository, temporaryDirectory, writeFiles } from './repository.js';

test('a detached and shallow checkout, as CI jobs have it, and a bare repository build', async () => {
	const origin = makeRepository({ 'app.js': 'one' });
	const second = commit(origin, { 'app.js': 'two' }, 'Second');
	const job = temporaryDirectory();
	git(job, 'clone', '--quiet', '--depth', '1', `file://${origin}`, 'project');
	git(join(job, 'project'), 'checkout', '--quiet', '--detach');
	git(join(job, 'project'), 'branch', '--quiet', '--delete', '--force', 'main');
	const { info, path } = await fetch(join(job, 'project'));
	expect(info.commit).toBe(second);
	expect(info.ref).toBeUndefined();
	expect(readFileSync(join(path, 'app.js'), 'utf8')).toBe('two');
	git(job, 'clone', '--quiet', '--bare', origin, 'bare.git');
	expect((await fetch(join(job, 'bare.git'))).info.commit).toBe(second);
});

test('an empty repository fails and names the remedies, even inside another one', async () => {
	const outer = makeRepository({ 'app.js': 'one' });
	const error = {
		code: 'SOURCE_EMPTY',
		message: expect.stringContaining('has no commits') as string,
		hint: 'Commit something first, remove .git, or build the directory as it is with --copy.',
	};
	for (const make of [
		(path: string) => git(path, 'init', '--quiet'),
		(path: string) => mkdirSync(join(path, '.git')),
		(path: string) => git(path, 'init', '--quiet') + git(path, 'add', '--all'),
	]) {
		const path = join(outer, 'inner');
		rmSync(path, { recursive: true, force: true });
		writeFiles(path, { file: 'x' });
		make(path);
		await expect(fetch(path)).rejects.toMatchObject(error);
		expect(readdirSync((await fetch(path, { copy: true })).path)).toEqual(['file']);
	}
});

test('a commit that is not the tip of anything is found by its id, as rebuild asks for it', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const first = git(repository, 'rev-parse', 'HEAD');
	commit(repository, { 'app.js': 'two' }, 'Second');
	git(repository, 'config', 'uploadpack.allowAnySHA1InWant', 'false');
	const { info, path } = await fetch(`file://${repository}`, { ref: first });
	expect(info.commit).toBe(first);
	expect(readFileSync(join(path, 'app.js'), 'utf8')).toBe('one');
});

test.each(['.gitignore', 'sub/.gitattributes', 'nested/.git/HEAD'])(
	'a FIFO at %s, where git waits for a writer, does not hold a build',
	{ timeout: 30_000 },
	async (name) => {
		const repository = makeRepository({ 'app.js': 'one' });
		writeFiles(repository, { 'app.js': 'changed', 'sub/x': '', 'nested/x': '' });
		for (const path of ['objects', 'refs']) mkdirSync(join(repository, 'nested/.git', path), { recursive: true });
		execFileSync('mkfifo', [join(repository, name)]);
		const { path, notices } = await fetch(repository);
		expect(readFileSync(join(path, 'app.js'), 'utf8')).toBe('one');
		expect(notices).toEqual([expect.stringMatching(/is not known|uncommitted changes/)]);
	},
);

test('a worktree is built at its own commit, not at that of the repository', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const worktree = join(temporaryDirectory(), 'worktree');
	git(repository, 'worktree', 'add', '--quiet', '-b', 'side', worktree);
	const second = commit(worktree, { 'side.js': 'two' }, 'Second');
	const { info, path } = await fetch(worktree);
	expect(info).toMatchObject({ commit: second, ref: 'side' });
	expect(readdirSync(path)).toEqual(['app.js', 'side.js']);
});

test('the checkout of a submodule is a source of its own', async () => {
	const library = makeRepository({ 'lib.js': 'library' });
	const repository = makeRepository({ 'app.js': 'one' });
	git(repository, 'submodule', '--quiet', 'add', library, 'vendor/lib');
	const { path } = await fetch(join(repository, 'vendor/lib'));
	expect(readdirSync(path)).toEqual(['lib.js']);
});

test('--ignore-submodules leaves their directories empty, and asks nobody for them', async () => {
	const library = makeRepository({ 'lib.js': 'library' });
	const repository = makeRepository({ 'app.js': 'one' });
	git(repository, 'submodule', '--quiet', 'add', library, 'vendor/lib');
	commit(repository, {}, 'Add the library');
	const { path } = await fetch(repository, { ignoreSubmodules: true });
	expect(readdirSync(join(path, 'vendor/lib'))).toEqual([]);
});

test('Git LFS pointers are built with a notice when git-lfs is not there', async () => {
	const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 5\n`;
	const files = { 'data/.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text', 'data/a.bin': pointer };
	const repository = makeRepository({ ...files, 'README.md': pointer.slice(0, 7) });
	const { path, notices } = await fetch(repository, { env: { ...GIT_ENV, GIT_LFS_SKIP_SMUDGE: '1' } });
	expect(readFileSync(join(path, 'data/a.bin'), 'utf8')).toBe(pointer);
	expect(notices).toEqual([expect.stringMatching(/^Git LFS pointers are built instead of files \(data\/a\.bin\); /)]);
	const plain = makeRepository({ 'a.bin': pointer });
	expect((await fetch(plain)).notices).toEqual([]);
});

test('git-lfs fills LFS files where it is found, as the user configured it or by default', async () => {
	const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 5\n`;
	const repository = makeRepository({ '.gitattributes': '*.bin filter=lfs', 'a.bin': pointer });
	const programs = temporaryDirectory();
	const trace = join(programs, 'trace');
	const config = join(programs, 'config');
	const fake = `#!/bin/sh\necho "$@" >> ${trace}\n[ "$1" = smudge ] || exit 1\ncat >/dev/null; printf content\n`;
	writeFileSync(join(programs, 'git-lfs'), fake, { mode: 0o755 });
	const env = { ...GIT_ENV, PATH: `${programs}:${process.env['PATH'] ?? ''}`, GIT_CONFIG_GLOBAL: config };
	const configure = (program: string) =>
		writeFileSync(config, `[filter "lfs"]\n\tsmudge = ${program} smudge -- %f\n\trequired = true\n`);

	configure(`${programs}/git-lfs`);
	const { path, notices } = await fetch(repository, { env });
	expect(readFileSync(join(path, 'a.bin'), 'utf8')).toBe('content');
	expect(notices).toEqual([]);

	configure('false');
	await expect(fetch(repository, { env })).rejects.toMatchObject({
		code: 'SOURCE_GIT',
		hint: expect.stringContaining('git lfs push') as string,
	});

	writeFileSync(config, '');
	await expect(fetch(repository, { env })).rejects.toMatchObject({ code: 'SOURCE_GIT' });
	expect(readFileSync(trace, 'utf8')).toContain('filter-process');
});

test("--exclude '' keeps .git, without the place it came from", async () => {
	const repository = makeRepository({ 'app.js': 'one', 'deep/.git-not': '' });
	const url = `file://${repository}`;
	const { path, info } = await fetch(url, { exclude: '' });
	expect(readdirSync(path)).toEqual(['.git', 'app.js', 'deep']);
	expect(git(path, 'rev-parse', 'HEAD')).toBe(info.commit);
	expect(existsSync(join(path, '.git/logs'))).toBe(false);
	expect(readdirSync((await fetch(url, { exclude: '^deep$|[.]js' })).path)).toEqual(['.git']);
});

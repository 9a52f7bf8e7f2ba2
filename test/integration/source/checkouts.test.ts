import { execFileSync } from 'node:child_process';
import {
	chownSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lacking } from '../../support/fs.js';
import { needs, skipFor } from '../../support/needs.js';
import { commit, fetch, GIT_ENV, git, makeRepository, temporaryDirectory, writeFiles } from './repository.js';

const FILES = { 'svc/app.js': 'app', 'svc/deep/x': 'x', 'other/big': 'big', 'README.md': 'read me' };

/** A repository that serves partial clones, and the directory of a job. */
function makeOrigin(files: Readonly<Record<string, string>> = FILES): { readonly url: string; readonly job: string } {
	const origin = makeRepository(files);
	for (const name of ['uploadpack.allowFilter', 'uploadpack.allowAnySHA1InWant']) git(origin, 'config', name, 'true');
	return { url: `file://${origin}`, job: temporaryDirectory() };
}

/** A sparse checkout of `svc` in a clone without the other contents. */
function makeSparse(filter: string): { readonly project: string; readonly origin: string } {
	const { url, job } = makeOrigin();
	git(job, 'clone', '--quiet', `--filter=${filter}`, '--no-checkout', '--depth', '1', url, 'project');
	const project = join(job, 'project');
	git(project, 'sparse-checkout', 'set', 'svc');
	git(project, 'checkout', '--quiet', 'main');
	expect(existsSync(join(project, 'other/big'))).toBe(false);
	return { project, origin: url.slice('file://'.length) };
}

test.each(['blob:none', 'tree:0'])(
	'a sparse checkout of a clone with --filter=%s builds the part that is there, and asks nobody for the rest',
	async (filter) => {
		const { project, origin } = makeSparse(filter);
		renameSync(origin, `${origin}-gone`);
		const { path, notices } = await fetch(project, { contextDir: 'svc' });
		expect(readdirSync(path)).toEqual(['app.js', 'deep']);
		expect(notices).toEqual([]);
		await expect(fetch(project)).rejects.toMatchObject({
			code: 'SOURCE_GIT',
			message: expect.stringMatching(/does not hold /) as string,
			hint: expect.stringMatching(/--refetch.*--context-dir.*--copy/) as string,
		});
		expect(readdirSync((await fetch(project, { copy: true })).path)).toEqual(['README.md', 'svc']);
		renameSync(`${origin}-gone`, origin);
	},
);

test('what is missing is named, or made anew from unchanged files', async () => {
	const { project } = makeSparse('blob:none');
	const message = expect.stringContaining('1 files of its commit (other/big)') as string;
	await expect(fetch(project)).rejects.toMatchObject({ message });
	writeFiles(project, { 'other/big': 'big' });
	const { path } = await fetch(project);
	expect(readFileSync(join(path, 'other/big'), 'utf8')).toBe('big');
	writeFiles(project, { 'other/big': 'changed' });
	await expect(fetch(project)).rejects.toMatchObject({ message });
});

test('odd names of a context directory are found, with the attributes above it', async () => {
	const names = ['a b ', '[x]', 'q?*', '!bang', '#hash', 'back\\slash'];
	const files = Object.fromEntries(
		names.flatMap((name) => [
			[`${name}/in/file`, 'a\n'],
			[`${name}/out`, ''],
		]),
	);
	const repository = makeRepository({ ...files, '.gitattributes': 'file text eol=crlf' });
	for (const name of names) {
		const { path } = await fetch(repository, { contextDir: `${name}/in` });
		expect(readFileSync(join(path, 'file'), 'utf8')).toBe('a\r\n');
	}
	await expect(fetch(repository, { contextDir: 'a b /no' })).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
});

test('alternates, a separate git directory, a .git link, a bundle, packed refs and sha256 build', async () => {
	const { url, job } = makeOrigin({ 'app.js': 'one' });
	git(job, 'clone', '--quiet', url, 'full');
	git(job, 'clone', '--quiet', '--reference', join(job, 'full'), url, 'reference');
	git(job, 'clone', '--quiet', `--separate-git-dir=${join(job, 'apart.git')}`, url, 'separate');
	git(join(job, 'full'), 'bundle', 'create', '--quiet', join(job, 'all.bundle'), 'main');
	git(job, 'clone', '--quiet', '--branch', 'main', 'all.bundle', 'bundle');
	git(job, 'clone', '--quiet', url, 'packed');
	git(join(job, 'packed'), 'pack-refs', '--all');
	git(job, 'clone', '--quiet', url, 'linked');
	renameSync(join(job, 'linked/.git'), join(job, 'elsewhere'));
	symlinkSync('../elsewhere', join(job, 'linked/.git'));
	git(job, 'init', '--quiet', '--object-format=sha256', 'sha256');
	commit(join(job, 'sha256'), { 'app.js': 'one' }, 'First');
	git(job, 'clone', '--quiet', url, 'line\nbreak');
	for (const name of ['full', 'reference', 'separate', 'bundle', 'packed', 'linked', 'sha256', 'line\nbreak']) {
		const { path, info, notices } = await fetch(join(job, name));
		expect({ name, files: readdirSync(path), notices }).toEqual({ name, files: ['app.js'], notices: [] });
		expect(info).toMatchObject({ commit: git(join(job, name), 'rev-parse', 'HEAD'), ref: 'main' });
	}
});

test('a branch that only the remote has, a tag object and an ancestor are found', async () => {
	const { url, job } = makeOrigin();
	git(url.slice(7), 'branch', 'release');
	git(url.slice(7), 'tag', '--annotate', '-m', 'One', 'v1');
	git(job, 'clone', '--quiet', url, 'project');
	for (const ref of ['release', 'v1', 'HEAD']) {
		expect((await fetch(join(job, 'project'), { ref })).info.ref).toBe(ref);
	}
});

test('replaced objects and grafts do not count: a commit is built as it was committed', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const first = git(repository, 'rev-parse', 'HEAD');
	const second = commit(repository, { 'app.js': 'two' }, 'Second');
	git(repository, 'replace', second, first);
	writeFileSync(join(repository, '.git/info/grafts'), `${second}\n`);
	const { path, info } = await fetch(repository);
	expect(readFileSync(join(path, 'app.js'), 'utf8')).toBe('two');
	expect(info).toMatchObject({ commit: second, message: 'Second' });
});

test('a repository of another user builds, and none of its configuration runs', async (context) => {
	needs(context, process.getuid?.() === 0, 'only root can give files to another user');
	const repository = makeRepository({ 'app.js': 'one', '.gitattributes': '*.js filter=evil diff=evil' });
	const trace = join(temporaryDirectory(), 'trace');
	const program = `sh -c 'touch ${trace}; cat'`;
	for (const name of [
		'filter.evil.smudge',
		'filter.evil.clean',
		'filter.evil.process',
		'core.fsmonitor',
		'core.sshCommand',
		'diff.evil.textconv',
		'uploadpack.packObjectsHook',
		'core.pager',
		'gpg.program',
	]) {
		git(repository, 'config', name, program);
	}
	execFileSync('touch', ['-d', '2001-01-01', join(repository, 'app.js')]);
	execFileSync('chown', ['-R', '12345:12345', repository]);
	chownSync(repository, 12345, 12345);
	const { path, notices } = await fetch(repository);
	expect(readFileSync(join(path, 'app.js'), 'utf8')).toBe('one');
	expect(notices).toEqual([]);
	expect(existsSync(trace)).toBe(false);
});

test('a .git file that leads nowhere, and a damaged repository, say so', async () => {
	const lost = temporaryDirectory();
	writeFiles(lost, { file: '', '.git': 'gitdir: /builds/.git/worktrees/x\n' });
	await expect(fetch(lost)).rejects.toMatchObject({
		code: 'SOURCE_GIT',
		message: expect.stringContaining('"/builds/.git/worktrees/x", which is not here') as string,
		hint: expect.stringContaining('--copy') as string,
	});
	const damaged = makeRepository({ 'app.js': 'one' });
	const tree = git(damaged, 'rev-parse', 'HEAD^{tree}');
	rmSync(join(damaged, '.git/objects', tree.slice(0, 2), tree.slice(2)));
	await expect(fetch(damaged)).rejects.toMatchObject({ code: 'SOURCE_GIT' });
	const id = git(damaged, 'rev-parse', 'HEAD');
	rmSync(join(damaged, '.git/objects', id.slice(0, 2), id.slice(2)));
	await expect(fetch(damaged)).rejects.toMatchObject({ code: 'SOURCE_GIT' });
});

test('core.worktree and variables of the environment do not change what is built', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	const other = temporaryDirectory();
	writeFiles(other, { 'app.js': 'one', 'untracked.js': '' });
	git(repository, 'config', 'core.worktree', other);
	const env = { ...GIT_ENV, GIT_INDEX_FILE: '/nonexistent', GIT_LITERAL_PATHSPECS: '1', GIT_OBJECT_DIRECTORY: '/x' };
	const { path, notices } = await fetch(repository, { env });
	expect(readdirSync(path)).toEqual(['app.js']);
	expect(notices).toEqual([]);
	const inside = join(repository, 'moved');
	renameSync(other, inside);
	git(repository, 'config', 'core.worktree', inside);
	expect((await fetch(repository, { env })).notices).toEqual([expect.stringContaining('(untracked.js)')]);
});

test('the source is not written to, not even by git', async () => {
	const repository = makeRepository({ 'app.js': 'one' });
	writeFiles(repository, { 'app.js': 'two' });
	const listing = () => execFileSync('find', [repository, '-printf', '%p %T@ %s %i\n'], { encoding: 'utf8' });
	const before = listing();
	await fetch(repository);
	await fetch(repository, { exclude: '' });
	expect(listing()).toBe(before);
});

test('Git LFS files are taken from the checkout', async (context) => {
	skipFor(context, lacking('git-lfs'));
	const repository = makeRepository({ '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text' });
	const lfs = ['clean', 'smudge'].flatMap((name) => ['-c', `filter.lfs.${name}=git-lfs ${name} -- %f`]);
	writeFiles(repository, { 'a.bin': 'content of a' });
	git(repository, ...lfs, 'add', 'a.bin');
	git(repository, ...lfs, 'commit', '--quiet', '-m', 'Large');
	expect(git(repository, 'show', 'HEAD:a.bin')).toContain('git-lfs.github.com');
	const { path, notices } = await fetch(repository);
	expect(readFileSync(join(path, 'a.bin'), 'utf8')).toBe('content of a');
	expect(notices).toEqual([]);
	// As from a cache: git must compare the content.
	utimesSync(join(repository, 'a.bin'), 1, 1);
	expect((await fetch(repository)).notices).toEqual([]);
	writeFiles(repository, { 'a.bin': 'content of b' });
	expect((await fetch(repository)).notices).toEqual([expect.stringContaining('(a.bin)')]);
	writeFiles(repository, { 'a.bin': 'content of a' });
	rmSync(join(repository, '.git/lfs'), { recursive: true });
	await expect(fetch(repository)).rejects.toMatchObject({
		code: 'SOURCE_GIT',
		hint: expect.stringContaining('git lfs') as string,
	});
	mkdirSync(join(repository, '.git/lfs'));
});

import { execFileSync } from 'node:child_process';
import {
	appendFileSync,
	chmodSync,
	cpSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commit, fetch, GIT_ENV, git, makeRepository, temporaryDirectory, writeFiles } from './repository.js';

const SECRET = 'TOP-SECRET';

/** Every setting of git-config(1) by which a repository can name a program, directly or by what it then includes, fetches or clones. */
const PROGRAMS: readonly string[] = [
	...['clean', 'smudge', 'process'].map((name) => `filter.evil.${name}`),
	...['fsmonitor', 'sshCommand', 'pager', 'editor', 'askPass', 'gitProxy', 'alternateRefsCommand'].map(
		(name) => `core.${name}`,
	),
	...['credential.helper', 'credential.https://example.org.helper', 'diff.external', 'diff.evil.command'],
	...['diff.evil.textconv', 'merge.evil.driver', 'uploadpack.packObjectsHook', 'gpg.program', 'gpg.ssh.program'],
	...['gpg.x509.program', 'gpg.ssh.defaultKeyCommand', 'remote.origin.uploadpack', 'remote.origin.receivepack'],
	...['remote.origin.vcs', 'sequence.editor', 'trailer.evil.command', 'trailer.evil.cmd', 'interactive.diffFilter'],
	...['pager.status', 'pager.log', 'pager.diff', 'difftool.evil.cmd', 'mergetool.evil.cmd', 'browser.evil.cmd'],
	...[
		'man.evil.cmd',
		'guitool.evil.cmd',
		'sendemail.toCmd',
		'lfs.customtransfer.evil.path',
		'lfs.extension.evil.clean',
	],
	...['lfs.extension.evil.smudge', 'tar.evil.command', 'receive.procReceiveRefs', 'imap.tunnel', 'ssh.variant'],
];
/** Those that take a command with `!`. */
const ALIASES = ['status', 'log', 'rev-parse', 'read-tree', 'ls-files', 'cat-file', 'config'].map(
	(name) => `alias.${name}`,
);
const HOOKS = ['post-checkout', 'post-index-change', 'reference-transaction', 'fsmonitor-watchman', 'pre-auto-gc'];

/** A marker appears in `markers` for each program that ran. */
function arm(repository: string, markers: string): void {
	const mark = (name: string) => `touch '${join(markers, name.replaceAll('/', '_'))}'; cat`;
	const attributes = '* filter=evil diff=evil merge=evil text\n';
	const config = join(repository, '.git/config');
	writeFiles(repository, { '.git/info/attributes': attributes });
	const set = (...args: readonly string[]) => git(repository, 'config', '--file', config, ...args);
	for (const name of PROGRAMS) set(name, mark(name));
	for (const name of ALIASES) set(name, `!${mark(name)}`);
	const hooks = join(repository, 'hooks');
	for (const name of HOOKS) {
		for (const directory of [hooks, join(repository, '.git/hooks')]) {
			mkdirSync(directory, { recursive: true });
			writeFileSync(join(directory, name), `#!/bin/sh\n${mark(`hook-${name}`)}\n`, { mode: 0o755 });
		}
	}
	const included = join(repository, '.git/included');
	git(repository, 'config', '--file', included, 'filter.evil.clean', mark('included'));
	for (const name of ['include.path', 'includeIf.gitdir:/**.path', 'includeIf.onbranch:main.path']) set(name, included);
	const more: Readonly<Record<string, string>> = {
		'core.hooksPath': hooks,
		'core.attributesFile': join(repository, '.git/info/attributes'),
		'filter.evil.required': 'true',
		'protocol.allow': 'always',
		'protocol.ext.allow': 'always',
		'remote.origin.url': `ext::sh -c touch% ${join(markers, 'ext')}`,
		'remote.origin.promisor': 'true',
		'remote.origin.partialCloneFilter': 'blob:none',
		'extensions.partialClone': 'origin',
		'extensions.worktreeConfig': 'true',
		'url.ext::sh.insteadOf': 'https://',
		'submodule.sub.update': `!${mark('submodule-update')}`,
		'log.showSignature': 'true',
		'status.submoduleSummary': 'true',
		'submodule.recurse': 'true',
		'fetch.recurseSubmodules': 'true',
	};
	for (const [name, value] of Object.entries(more)) set(name, value);
	cpSync(config, join(repository, '.git/config.worktree'));
	set('core.repositoryFormatVersion', '1');
}

test('no program that the configuration, attributes or hooks of a source name is run', async () => {
	const markers = temporaryDirectory();
	chmodSync(markers, 0o777);
	const inner = makeRepository({ 'inner.js': 'inner' });
	const repository = makeRepository({ 'app.js': 'one', '.gitattributes': '* filter=evil diff=evil\n' });
	git(repository, 'submodule', '--quiet', 'add', inner, 'sub');
	appendFileSync(join(repository, '.gitmodules'), `\tupdate = !touch ${join(markers, 'gitmodules-update')}\n`);
	git(repository, 'add', '--all');
	git(repository, 'commit', '--quiet', '-m', 'Second');
	const second = commit(repository, { lost: 'lost' }, 'Third');
	const lost = git(repository, 'rev-parse', 'HEAD:lost');
	rmSync(join(repository, '.git/objects', lost.slice(0, 2), lost.slice(2)));
	writeFiles(repository, { 'app.js': 'two', 'sub/inner.js': 'changed', 'sub/.git.bak': '' });
	// A submodule whose git directory is its own, armed as well.
	rmSync(join(repository, 'sub/.git'));
	renameSync(join(repository, '.git/modules/sub'), join(repository, 'sub/.git'));
	git(repository, 'config', '--file', 'sub/.git/config', '--unset', 'core.worktree');
	for (const each of [repository, join(repository, 'sub')]) arm(each, markers);

	const { path } = await fetch(repository);
	expect(readFileSync(join(path, 'app.js'), 'utf8')).toBe('one');
	expect(readFileSync(join(path, 'sub/inner.js'), 'utf8')).toBe('inner');
	await fetch(repository, { ref: second });
	await fetch(repository, { contextDir: 'sub' });
	await fetch(repository, { exclude: '' }).catch(() => undefined);
	rmSync(join(repository, 'lost'));
	await fetch(repository).catch(() => undefined);
	rmSync(join(repository, 'sub'), { recursive: true });
	await fetch(repository).catch(() => undefined);
	await fetch(repository, { copy: true });
	expect(readdirSync(markers)).toEqual([]);

	// The traps are set: git itself walks into them.
	execFileSync('sh', ['-c', 'git status; git diff; git cat-file -p HEAD:lost; :'], {
		cwd: repository,
		env: { ...GIT_ENV, GIT_EXTERNAL_DIFF: '' },
		stdio: 'ignore',
	});
	expect(readdirSync(markers).length).toBeGreaterThan(2);
});

/** A repository of the user's that nobody meant to build, and a directory for a source. */
function makePrivate(): { readonly hidden: string; readonly job: string } {
	return { hidden: makeRepository({ 'secret.txt': SECRET }), job: temporaryDirectory() };
}

const refusal = (path: string) => ({
	code: 'SOURCE_INVALID',
	message: expect.stringContaining(path) as string,
	hint: expect.stringMatching(/--copy|GIT_ALTERNATE_OBJECT_DIRECTORIES/) as string,
});

describe('a source that leads to another repository is refused:', () => {
	const ways: Readonly<Record<string, (source: string, hidden: string) => void>> = {
		'a .git file': (source, hidden) => writeFiles(source, { '.git': `gitdir: ${hidden}/.git\n` }),
		'a .git link': (source, hidden) => symlinkSync(join(hidden, '.git'), join(source, '.git')),
		'a .git file through a directory of its own': (source, hidden) => {
			writeFiles(source, { '.git': 'gitdir: way/.git\n' });
			symlinkSync(hidden, join(source, 'way'));
		},
		'a commondir': (source, hidden) =>
			writeFiles(source, {
				'.git/HEAD': 'ref: refs/heads/main\n',
				'.git/commondir': `${hidden}/.git\n`,
				'.git/objects/pack/x': '',
				'.git/refs/heads/main': `${'1'.repeat(40)}\n`,
			}),
		'an administrative directory that only says it is one': (source, hidden) =>
			writeFiles(source, {
				'.git': 'gitdir: worktrees/x\n',
				'worktrees/x/HEAD': 'ref: refs/heads/main\n',
				'worktrees/x/commondir': `${hidden}/.git\n`,
				'worktrees/x/gitdir': `${source}/.git\n`,
			}),
	};
	test.each(Object.keys(ways))('%s', async (way) => {
		const { hidden, job } = makePrivate();
		ways[way]?.(job, hidden);
		await expect(fetch(job)).rejects.toMatchObject(refusal(join(hidden, '.git')));
	});

	test.each(['objects', 'objects/pack', 'refs', 'HEAD', 'index', 'config', 'packed-refs', 'lfs', 'info', 'shallow'])(
		'a link at .git/%s',
		async (name) => {
			const { hidden, job } = makePrivate();
			git(hidden, 'pack-refs', '--all');
			writeFiles(hidden, { '.git/shallow': '', '.git/lfs/x': '', '.git/info/exclude': '' });
			cpSync(join(hidden, '.git'), join(job, '.git'), { recursive: true });
			rmSync(join(job, '.git', name), { recursive: true });
			symlinkSync(join(hidden, '.git', name), join(job, '.git', name));
			await expect(fetch(job)).rejects.toMatchObject(refusal(join(hidden, '.git', name)));
		},
	);

	test('a link below a directory that .git leads to', async () => {
		const { hidden, job } = makePrivate();
		cpSync(join(hidden, '.git'), join(job, '.git'), { recursive: true });
		renameSync(join(job, '.git/objects'), join(job, 'kept'));
		symlinkSync('../kept', join(job, '.git/objects'));
		expect(readdirSync((await fetch(job)).path)).toEqual(['secret.txt']);
		const [first = ''] = readdirSync(join(job, 'kept')).filter((name) => name.length === 2);
		rmSync(join(job, 'kept', first), { recursive: true });
		symlinkSync(join(hidden, '.git/objects', first), join(job, 'kept', first));
		await expect(fetch(job)).rejects.toMatchObject(refusal(join(hidden, '.git/objects', first)));
	});

	test.each(['directly', 'by a second one', 'quoted', 'of a submodule', 'of a submodule without a checkout'])(
		'alternates, %s',
		async (how) => {
			const { hidden } = makePrivate();
			const inner = makeRepository({ 'inner.js': '' });
			const job = makeRepository({ 'app.js': '' });
			git(job, 'submodule', '--quiet', 'add', inner, 'sub');
			commit(job, {}, 'Second');
			const secret = git(hidden, 'rev-parse', 'HEAD');
			const objects = `${hidden}/.git/objects`;
			const files: Readonly<Record<string, Readonly<Record<string, string>>>> = {
				directly: { '.git/objects/info/alternates': `# borrowed\n${objects}\n` },
				'by a second one': {
					'.git/objects/info/alternates': '../../own\n',
					'own/info/alternates': `${objects}\n`,
				},
				quoted: { '.git/objects/info/alternates': `"${objects}"\n` },
			};
			writeFiles(job, files[how] ?? { '.git/modules/sub/objects/info/alternates': `${objects}\n` });
			if (how.startsWith('of a submodule')) {
				git(job, 'update-index', '--cacheinfo', `160000,${secret},sub`);
				git(job, 'commit', '--quiet', '-m', 'Third');
			} else writeFiles(job, { '.git/refs/heads/main': `${secret}\n` });
			if (how.endsWith('checkout')) rmSync(join(job, 'sub'), { recursive: true });
			await expect(fetch(job)).rejects.toMatchObject(refusal(objects));
		},
	);

	test('a submodule whose .git file leads out', async () => {
		const { hidden } = makePrivate();
		const job = makeRepository({ 'app.js': '' });
		git(job, 'submodule', '--quiet', 'add', hidden, 'sub');
		commit(job, {}, 'Second');
		rmSync(join(job, 'sub/secret.txt'));
		writeFiles(job, { 'sub/.git': `gitdir: ${hidden}/.git\n` });
		await expect(fetch(job)).rejects.toMatchObject(refusal(join(hidden, '.git')));
	});

	test('a pipe in the git directory', async () => {
		const job = makeRepository({ 'app.js': '' });
		execFileSync('mkfifo', [join(job, '.git/objects/pack/pack-0.idx')]);
		await expect(fetch(job)).rejects.toMatchObject(refusal('pack-0.idx'));
	});
});

test('what the repository itself names as its working tree is no other repository', async () => {
	const inner = makeRepository({ 'inner.js': '' });
	const repository = makeRepository({ 'app.js': 'one' });
	git(repository, 'submodule', '--quiet', 'add', inner, 'sub');
	commit(repository, {}, 'Second');
	expect(readdirSync((await fetch(join(repository, 'sub'))).path)).toEqual(['inner.js']);
	const job = temporaryDirectory();
	for (const [name, options] of [
		['relative', ['--relative-paths']],
		['absolute', []],
	] as const) {
		const worktree = join(job, name);
		try {
			git(repository, 'worktree', 'add', '--quiet', ...options, '-b', name, worktree);
		} catch {
			// git before 2.48 has absolute paths only.
			continue;
		}
		git(worktree, 'submodule', '--quiet', 'update', '--init');
		expect(readdirSync(join((await fetch(worktree)).path, 'sub'))).toEqual(['inner.js']);
	}
});

import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { type BuiltImage, decoded } from '../support/built.js';
import { makeWorkspace } from '../support/host.js';
import { assembleSource, makeSource, readLayout, tinyLayout, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const HOME = 'opt/app-root/src';

interface Built {
	readonly image: BuiltImage;
	readonly stderr: string;
	readonly files: readonly string[];
	readonly result: Awaited<ReturnType<typeof build>>['result'];
}

async function builtFrom(source: string, ...args: readonly string[]): Promise<Built> {
	const workspace = makeWorkspace();
	const layout = join(workspace.root, 'image');
	const command = [source, `oci:${tinyLayout()}:latest`, `oci:${layout}:1`, ...args];
	const { stderr, result } = await build(workspace, command);
	const image = await decoded(readLayout(layout));
	const files = [...image.entries.keys()]
		.filter((name) => name.startsWith(`${HOME}/`))
		.map((name) => name.slice(HOME.length + 1))
		.filter((name) => !['assemble-invoked', 'kept', 'environment'].includes(name));
	return { image, stderr, files, result };
}

function git(cwd: string, ...args: readonly string[]): string {
	const who = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org', '-c', 'init.defaultBranch=main'];
	const env = { ...process.env, GIT_COMMITTER_DATE: '1750000000 +0000', GIT_AUTHOR_DATE: '1750000000 +0000' };
	return execFileSync('git', [...who, ...args], { cwd, env, encoding: 'utf8' }).trim();
}

function write(root: string, files: Readonly<Record<string, string>>): void {
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), text);
	}
}

/** A repository whose branch `old` has only the file a, and `main` b and web/c as well. */
function makeRepository(): string {
	const root = makeSource({ a: 'first' });
	git(root, 'init', '-q');
	git(root, 'add', '-A');
	git(root, 'commit', '-q', '-m', 'First');
	git(root, 'branch', 'old');
	write(root, { b: 'second', 'web/c': 'third' });
	git(root, 'add', '-A');
	git(root, 'commit', '-q', '-m', 'Second');
	return root;
}

describe('the source', () => {
	test('may be a directory; .s2iignore says what of it is left out', async () => {
		const source = makeSource({ '.s2iignore': '*.log\n!keep.log\n', 'a.log': '', 'keep.log': '', 'x/b.txt': '' });
		const { files, result } = await builtFrom(source);
		expect(files).toEqual(['.s2iignore', 'keep.log', 'x', 'x/b.txt']);
		expect(result.source?.location).toContain(source);
	});

	test('may be a git repository on disk: its last commit is built, and what is uncommitted is mentioned', async () => {
		const repository = makeRepository();
		write(repository, { dirty: 'not committed' });
		const { files, stderr, result, image } = await builtFrom(repository);
		expect(files).toEqual(['a', 'b', 'web', 'web/c']);
		expect(stderr).toMatch(/warning: .*uncommitted/i);
		expect(result.source).toMatchObject({ commit: git(repository, 'rev-parse', 'HEAD'), message: 'Second' });
		expect(image.config.config.Labels).toMatchObject({
			'io.openshift.s2i.build.commit.id': git(repository, 'rev-parse', 'HEAD'),
			'io.openshift.s2i.build.commit.message': 'Second',
		});
		expect(image.config.created).toMatch(/^2025-06-15T15:06:40/);
	});

	test('is copied as it is with --copy', async () => {
		const repository = makeRepository();
		write(repository, { dirty: 'not committed' });
		const { files } = await builtFrom(repository, '--copy');
		expect(files).toContain('dirty');
	});

	test('is built at --ref, and below --context-dir', async () => {
		const repository = makeRepository();
		expect((await builtFrom(`file://${repository}`, '--ref', 'old')).files).toEqual(['a']);
		expect((await builtFrom(repository, '--context-dir', 'web')).files).toEqual(['c']);
	});

	test('may be an archive, a single file, or a tar on standard input', async () => {
		const tree = makeSource({ 'app/a': 'one', 'app/b.log': '', 'app/.s2iignore': '*.log\n' });
		const tar = join(makeWorkspace().root, 'app.tar.gz');
		execFileSync('tar', ['--gzip', '--create', '--file', tar, '--directory', tree, 'app']);
		const archived = await builtFrom(tar, '--context-dir', 'app');
		expect(archived.files).toEqual(['.s2iignore', 'a']);
		expect(archived.result.source?.location).toBe(tar);
		expect((await builtFrom(join(tree, 'app/a'))).files).toEqual(['a']);

		const workspace = makeWorkspace();
		const layout = join(workspace.root, 'image');
		const wrapper = ['sh', '-c', `tar -C ${tree} -c . | "$@"`, 'sh'];
		const { result } = await build(workspace, ['-', `oci:${tinyLayout()}:latest`, `oci:${layout}:1`], { wrapper });
		expect(result.source?.location).toBe('-');
		const image = await decoded(readLayout(layout));
		expect(image.entries.get(`${HOME}/app/a`)?.content).toBe('one');
	});

	test('keeps links with --keep-symlinks, else builds what is elsewhere as copies, and leaves out what --exclude matches', async () => {
		const shared = makeSource({ file: 'shared' });
		const source = makeSource({ 'tmp/x': '', 'src/tmp/y': '', 'src/z': '' });
		symlinkSync(join(shared, 'file'), join(source, 'link'));
		const copied = await builtFrom(source, '--exclude', '^tmp$');
		expect(copied.files).toEqual(['link', 'src', 'src/tmp', 'src/tmp/y', 'src/z']);
		expect(copied.image.entries.get(`${HOME}/link`)?.content).toBe('shared');
		expect(copied.stderr).toMatch(/warning: .*built as copies \(link\)/);
		const kept = await builtFrom(source, '--keep-symlinks');
		expect(kept.image.entries.get(`${HOME}/link`)?.header).toMatchObject({ type: 'symlink' });
	});

	test('runs its scripts even when .s2iignore names them, and they are not in the image', async () => {
		const { image, files } = await builtFrom(
			makeSource({
				'.s2i/bin/assemble': '#!/bin/sh\n/usr/libexec/s2i/assemble && echo mine > mine\n',
				'.s2i/environment': 'TINY_A=file\n',
				'.s2iignore': '.s2i\n',
				file: '',
			}),
		);
		expect(image.entries.get(`${HOME}/mine`)?.content).toBe('mine\n');
		expect(files).toEqual(['.s2iignore', 'file', 'mine']);
		expect(image.config.config.Env.filter((variable) => variable.startsWith('TINY_A='))).toEqual([]);
	});

	test.each([
		['/nonexistent/source', [], 'SOURCE_NOT_FOUND'],
		['REPOSITORY', ['--context-dir', 'missing'], 'SOURCE_NOT_FOUND'],
		['REPOSITORY', ['--ref', 'missing'], 'SOURCE_GIT'],
	])('that is not there ends with status 5: %s %j', async (name, args, code) => {
		const workspace = makeWorkspace();
		const source = name === 'REPOSITORY' ? makeRepository() : name;
		const failed = await s2oci(workspace, ['build', source, `oci:${tinyLayout()}`, ...args]);
		expect(failed.status).toBe(5);
		expect(failed.result?.error).toMatchObject({ code, hint: expect.stringMatching(/\w/) as string });
	});
});

describe('scripts and environment of the source', () => {
	test('override those of the builder; run lies in the image, the other scripts do their work', async () => {
		const { image } = await builtFrom(
			makeSource({
				'.s2i/bin/assemble': '#!/bin/sh\n/usr/libexec/s2i/assemble && echo wrapped > wrapped\n',
				'.s2i/bin/run': '#!/bin/sh\necho mine\n',
				file: '',
			}),
		);
		expect(image.config.config.Cmd).toEqual(['/tmp/scripts/run']);
		expect(image.entries.get('tmp/scripts/run')).toMatchObject({
			content: '#!/bin/sh\necho mine\n',
			header: { mode: 0o755 },
		});
		expect(image.entries.get(`${HOME}/wrapped`)?.content).toBe('wrapped\n');
		expect(image.entries.has(`${HOME}/assemble-invoked`)).toBe(true);
	});

	test('.s2i/environment and -e reach assemble and the image, -e winning', async () => {
		const source = makeSource({ '.s2i/environment': '# comment\nTINY_A=file\nTINY_B=file\n' });
		const { image } = await builtFrom(source, '-e', 'TINY_B=option', '--env=TINY_C=a=b c');
		expect(image.entries.get(`${HOME}/environment`)?.content).toBe('TINY_A=file\nTINY_B=option\nTINY_C=a=b c\n');
		expect(image.config.config.Env.slice(-3)).toEqual(['TINY_A=file', 'TINY_B=option', 'TINY_C=a=b c']);
	});

	test('image_metadata.json becomes labels', async () => {
		const { image } = await builtFrom(
			assembleSource(`mkdir -p /tmp/.s2i && echo '{"labels":[{"team":"blue"}]}' > /tmp/.s2i/image_metadata.json`),
		);
		expect(image.config.config.Labels).toMatchObject({ team: 'blue' });
	});

	test('assemble runs as the user, in the directory and with the variables of the image, and nothing of ours', async () => {
		const { image } = await builtFrom(
			assembleSource('id -u > id; id -g >> id; pwd >> id; umask >> id; env | sort > env'),
		);
		expect(image.entries.get(`${HOME}/id`)?.content).toBe('1001\n0\n/opt/app-root/src\n0022\n');
		const names = (image.entries.get(`${HOME}/env`)?.content ?? '').split('\n').map((line) => line.split('=')[0]);
		expect(names.filter((name) => /^(S2OCI|TMPDIR|NODE|XDG)/.test(name ?? ''))).toEqual([]);
		expect(names).toEqual(expect.arrayContaining(['HOME', 'PATH', 'APP_ROOT', 'LANG']));
	});
});

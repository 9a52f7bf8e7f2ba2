import { execFileSync } from 'node:child_process';
import { readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commit, fetch, GIT_ENV, git, makeRepository, temporaryDirectory, writeFiles } from './repository.js';

const refusal = (path: string) => ({
	code: 'SOURCE_INVALID',
	message: expect.stringContaining(path) as string,
	hint: expect.stringMatching(/--copy|GIT_ALTERNATE_OBJECT_DIRECTORIES/) as string,
});

/** Three files, one of them in a directory, that a repository elsewhere lends its objects to. */
const FILES = { 'app.js': 'one', 'lib/deep/a.js': 'two', 'link.txt': 'three' };

describe('a checkout whose objects are elsewhere', () => {
	const kinds: Readonly<Record<string, (job: string, url: string, env: string) => void>> = {
		'with a separate git directory': (job, url) =>
			git(job, 'clone', '--quiet', `--separate-git-dir=${join(job, 'apart.git')}`, url, 'app'),
		'with borrowed objects': (job, url) => git(job, 'clone', '--quiet', '--reference', url, url, 'app'),
		'with a link to a git directory': (job, url) => {
			git(job, 'clone', '--quiet', url, 'app');
			renameSync(join(job, 'app/.git'), join(job, 'apart.git'));
			symlinkSync('../apart.git', join(job, 'app/.git'));
		},
	};
	const makeCheckout = (kind: string) => {
		const [lender, job] = [makeRepository(FILES), temporaryDirectory()];
		kinds[kind]?.(job, lender, '');
		return { app: join(job, 'app'), refused: kind.includes('borrowed') ? join(lender, '.git/objects') : 'apart.git' };
	};

	test.each(Object.keys(kinds))('%s is built when its working tree has all that is built', async (kind) => {
		const { app, refused } = makeCheckout(kind);
		expect(readdirSync((await fetch(app)).path).sort()).toEqual(
			Object.keys(FILES).map((name) => name.replace(/\/.*/, '')),
		);
		writeFiles(app, { 'new.txt': '' });
		expect(readdirSync((await fetch(app, { contextDir: 'lib' })).path)).toEqual(['deep']);
		await expect(fetch(app, { exclude: '' })).rejects.toMatchObject(refusal(refused));
	});

	const changes: Readonly<Record<string, (app: string) => void>> = {
		'a file has other bytes': (app) => writeFiles(app, { 'app.js': 'On3' }),
		'a file is shorter': (app) => writeFiles(app, { 'app.js': '' }),
		'a file is missing': (app) => rmSync(join(app, 'lib/deep/a.js')),
		'a file is a link': (app) => {
			renameSync(join(app, 'app.js'), join(app, 'moved'));
			symlinkSync('moved', join(app, 'app.js'));
		},
		'a file is a pipe': (app) => {
			rmSync(join(app, 'app.js'));
			execFileSync('mkfifo', [join(app, 'app.js')]);
		},
		'a directory is a link that leads out': (app) => {
			renameSync(join(app, 'lib'), join(app, '../lib'));
			symlinkSync('../lib', join(app, 'lib'));
		},
	};
	test.each(Object.keys(changes))('is refused when %s', async (change) => {
		for (const kind of Object.keys(kinds)) {
			const { app, refused } = makeCheckout(kind);
			changes[change]?.(app);
			await expect(fetch(app)).rejects.toMatchObject(refusal(refused));
		}
	});

	test('is refused for its submodules as well, wherever they have their objects', async () => {
		const [inner, job] = [makeRepository({ 'inner.js': 'inner' }), temporaryDirectory()];
		const lender = makeRepository({ 'app.js': 'one' });
		git(lender, 'submodule', '--quiet', 'add', inner, 'sub');
		commit(lender, {}, 'Second');
		git(job, 'clone', '--quiet', `--separate-git-dir=${join(job, 'apart.git')}`, '--recurse-submodules', lender, 'app');
		const app = join(job, 'app');
		expect(readdirSync(join((await fetch(app)).path, 'sub'))).toEqual(['inner.js']);
		writeFiles(app, { 'sub/inner.js': 'other' });
		await expect(fetch(app)).rejects.toMatchObject(refusal('inner.js'));
	});
});

test('objects are borrowed from where the user allows it', async () => {
	const [hidden, job] = [makeRepository({ 'secret.txt': 'one' }), temporaryDirectory()];
	git(job, 'clone', '--quiet', '--reference', hidden, hidden, 'reference');
	const reference = join(job, 'reference');
	const objects = join(hidden, '.git/objects');
	writeFiles(reference, { 'secret.txt': 'changed' });
	await expect(fetch(reference)).rejects.toMatchObject(refusal(objects));
	const env = { ...GIT_ENV, GIT_ALTERNATE_OBJECT_DIRECTORIES: `/nonexistent:${objects}` };
	expect(readdirSync((await fetch(reference, { env })).path)).toEqual(['secret.txt']);
	git(reference, 'repack', '-a', '-d', '--quiet');
	rmSync(join(reference, '.git/objects/info/alternates'));
	expect(readdirSync((await fetch(reference)).path)).toEqual(['secret.txt']);
});

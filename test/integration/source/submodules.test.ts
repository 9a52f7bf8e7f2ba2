import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commit, fetch, GIT_ENV, git, makeRepository, temporaryDirectory, writeFiles } from './repository.js';

const ALLOWED = {
	...GIT_ENV,
	GIT_CONFIG_COUNT: '1',
	GIT_CONFIG_KEY_0: 'protocol.file.allow',
	GIT_CONFIG_VALUE_0: 'always',
};

interface Team {
	/** A directory with the bare repositories lib.git and app.git; app has lib as the submodule `vendor/my lib`. */
	readonly server: string;
	readonly app: string;
	readonly library: string;
}

/** Two repositories on a server, one with the other as a submodule by `url`. */
function makeTeam(url: string, name = 'vendor/my lib'): Team {
	const server = temporaryDirectory();
	const library = makeRepository({ 'lib.js': 'library' });
	git(server, 'clone', '--quiet', '--bare', library, 'lib.git');
	const app = makeRepository({ 'app.js': 'one' });
	git(server, 'clone', '--quiet', '--bare', app, 'app.git');
	git(app, 'remote', 'add', 'origin', join(server, 'app.git'));
	git(app, 'submodule', '--quiet', 'add', '--name', name, url.replace('SERVER', server), 'vendor/my lib');
	commit(app, {}, 'Add the library');
	git(app, 'push', '--quiet', 'origin', 'main');
	return { server, app, library };
}

/** A checkout of the application as a runner leaves it. */
function checkOut({ server }: Team, ...options: readonly string[]): string {
	const job = temporaryDirectory();
	git(job, 'clone', '--quiet', ...options, `file://${server}/app.git`, 'project');
	return join(job, 'project');
}

test.each([
	['relative', '../lib.git'],
	['absolute', 'SERVER/lib.git'],
])('a submodule with a %s URL is taken from the checkout when it is there, without a server', async (_kind, url) => {
	const team = makeTeam(url);
	const project = checkOut(team, '--depth', '1', '--recurse-submodules', '--shallow-submodules');
	rmSync(team.server, { recursive: true });
	const { path, notices } = await fetch(project);
	expect(readdirSync(join(path, 'vendor/my lib'))).toEqual(['lib.js']);
	expect(notices).toEqual([]);
});

test('a submodule that is not checked out is fetched from where git would, or the ways out are named', async () => {
	const team = makeTeam('../lib.git');
	const project = checkOut(team);
	const { path } = await fetch(project, { env: ALLOWED });
	expect(readdirSync(join(path, 'vendor/my lib'))).toEqual(['lib.js']);
	await expect(fetch(project)).rejects.toMatchObject({
		code: 'SOURCE_GIT',
		message: expect.stringMatching(
			`^the submodule vendor/my lib is not checked out at .*, and could not be fetched from (file://)?${team.server}/lib.git: `,
		) as string,
		hint: expect.stringMatching(
			/protocol\.file\.allow=always\. Or .*git submodule update --init --recursive.*--ignore-submodules/,
		) as string,
	});
	expect(readdirSync(join((await fetch(project, { ignoreSubmodules: true })).path, 'vendor/my lib'))).toEqual([]);
});

test('the URL that git submodule init wrote counts more than .gitmodules, and no secret of it is printed', async () => {
	const team = makeTeam('SERVER/lib.git');
	const project = checkOut(team);
	git(project, 'config', 'submodule.vendor/my lib.url', 'http://ada:s3cret@127.0.0.1:1/lib.git?token=s3cret');
	const failed: unknown = await fetch(project, { env: ALLOWED }).catch((error: unknown) => error);
	expect(String(failed)).toContain('http://127.0.0.1:1/lib.git');
	expect(String(failed)).not.toContain('s3cret');
	git(project, 'config', 'submodule.vendor/my lib.url', join(team.server, 'lib.git'));
	expect((await fetch(project, { env: ALLOWED })).info.commit).toBe(git(project, 'rev-parse', 'HEAD'));
});

test('the commit that the superproject names is built, and a notice names one that is checked out instead', async () => {
	const team = makeTeam('../lib.git');
	const inner = join(team.app, 'vendor/my lib');
	const other = commit(inner, { 'lib.js': 'changed', 'new.js': 'new' }, 'Another');
	writeFiles(inner, { 'wip.js': '' });
	const { path, notices } = await fetch(team.app);
	expect(readFileSync(join(path, 'vendor/my lib/lib.js'), 'utf8')).toBe('library');
	expect(notices).toEqual([
		`uncommitted changes are not built (vendor/my lib at ${other.slice(0, 12)}, vendor/my lib/wip.js); commit them, or build them too with --copy`,
	]);
});

test('nested, moved, renamed and old-style submodules, and a pointer that leads nowhere, are found', async () => {
	const deepest = makeRepository({ 'deepest.js': '' });
	const team = makeTeam('../lib.git', 'a name/with slash');
	const inner = join(team.app, 'vendor/my lib');
	git(inner, 'submodule', '--quiet', 'add', deepest, 'nested');
	commit(inner, {}, 'Nest');
	git(team.app, 'mv', 'vendor/my lib', 'moved');
	commit(team.app, {}, 'Move');
	expect(existsSync(join((await fetch(team.app)).path, 'moved/nested/deepest.js'))).toBe(true);

	writeFileSync(join(team.app, 'moved/.git'), 'gitdir: /builds/of/another/machine\n');
	expect(existsSync(join((await fetch(team.app)).path, 'moved/nested/deepest.js'))).toBe(true);

	rmSync(join(team.app, 'moved/.git'));
	renameSync(join(team.app, '.git/modules/a name/with slash'), join(team.app, 'moved/.git'));
	git(team.app, 'config', '--file', 'moved/.git/config', '--unset', 'core.worktree');
	expect(readdirSync(join((await fetch(team.app)).path, 'moved'))).toContain('lib.js');
});

test('a submodule whose update is none, and one without a URL, are left empty with a notice', async () => {
	const team = makeTeam('../lib.git');
	git(team.app, 'config', '--file', '.gitmodules', 'submodule.vendor/my lib.update', 'none');
	commit(team.app, {}, 'None');
	expect((await fetch(team.app)).notices).toEqual(['the submodule vendor/my lib is left empty: its update is none']);
	const bare = makeRepository({ 'app.js': '' });
	git(bare, 'update-index', '--add', '--cacheinfo', `160000,${git(team.app, 'rev-parse', 'HEAD')},embedded`);
	git(bare, 'commit', '--quiet', '-m', 'Embed');
	mkdirSync(join(bare, 'embedded'));
	const { path, notices } = await fetch(bare);
	expect(readdirSync(join(path, 'embedded'))).toEqual([]);
	expect(notices).toEqual([
		'the submodule embedded is left empty: it is not checked out, and .gitmodules has no URL for it',
	]);
});

test('the context directory may be in a submodule, and others are not asked for', async () => {
	const team = makeTeam('../lib.git');
	const inner = join(team.app, 'vendor/my lib');
	commit(inner, { 'web/page.js': '' }, 'Web');
	git(team.app, 'submodule', '--quiet', 'add', makeRepository({ x: '' }), 'other');
	commit(team.app, {}, 'Update');
	git(team.app, 'submodule', '--quiet', 'deinit', '--force', 'other');
	rmSync(join(team.app, '.git/modules/other'), { recursive: true });
	expect(readdirSync((await fetch(team.app, { contextDir: 'vendor/my lib/web' })).path)).toEqual(['page.js']);
	expect(readdirSync((await fetch(team.app, { contextDir: 'vendor' })).path)).toEqual(['my lib']);
	await expect(fetch(team.app)).rejects.toMatchObject({ code: 'SOURCE_GIT' });
});

test('a hostile name or URL leads neither to other directories nor to programs', async () => {
	const trace = join(temporaryDirectory(), 'trace');
	const secret = makeRepository({ secret: 'x' });
	for (const [name, url] of [
		['../../../../..', './-oProxyCommand=x'],
		['x', `ext::sh -c touch% ${trace}`],
		['x', '--upload-pack=touch'],
	] as const) {
		const app = makeRepository({ '.gitmodules': '' });
		git(app, 'config', '--file', '.gitmodules', `submodule.${name}.path`, 'lib');
		git(app, 'config', '--file', '.gitmodules', `submodule.${name}.url`, url);
		git(app, 'update-index', '--add', '--cacheinfo', `160000,${git(secret, 'rev-parse', 'HEAD')},lib`);
		git(app, 'add', '.gitmodules');
		git(app, 'commit', '--quiet', '-m', 'Hostile');
		mkdirSync(join(app, 'lib'));
		await expect(fetch(app, { env: ALLOWED })).rejects.toMatchObject({ code: 'SOURCE_GIT' });
	}
	expect(existsSync(trace)).toBe(false);
});

import { execFile, execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Finished, type RunOptions, s2oci, startS2oci } from '../support/build.js';
import { type BuiltImage, pulled } from '../support/built.js';
import { publishFixture } from '../support/fixtures.js';
import { leftovers, makeWorkspace, requireRoot, until, type Workspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import { makeSource, publish, readLayout, tinyLayout, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const PROGRAM = process.env['S2OCI_TEST_PROGRAM'] ?? fileURLToPath(new URL('../../bin/s2oci.js', import.meta.url));
const HOME = 'opt/app-root/src';

/** Options that run s2oci under the name `s2i`. */
function asS2i({ home }: Workspace): RunOptions {
	const link = join(home, 's2i');
	if (!existsSync(link)) symlinkSync(PROGRAM, link);
	return { wrapper: ['sh', '-c', `shift 2; exec ${process.execPath} ${link} "$@"`, 'sh'] };
}

/** Runs `s2i`; throws, with all it printed, unless it ends with 0. */
async function s2i(workspace: Workspace, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
	const finished = await s2oci(workspace, args, { ...asS2i(workspace), ...options });
	if (finished.status !== 0) throw new Error(`s2i ended with ${String(finished.status)}: ${finished.stderr}`);
	expect(await leftovers(workspace)).toEqual([]);
	return finished;
}

interface Scene {
	readonly workspace: Workspace;
	readonly registry: TestRegistry;
	readonly builder: string;
	readonly tag: string;
	readonly image: () => Promise<BuiltImage>;
}

async function scene(): Promise<Scene> {
	const registry = await tinyRegistry();
	const { host } = registry;
	const image = () => pulled(registry, 'test/app');
	return { workspace: makeWorkspace(), registry, builder: `${host}/builders/tiny`, tag: `${host}/test/app`, image };
}

function git(cwd: string, ...args: readonly string[]): string {
	const who = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.org', '-c', 'init.defaultBranch=main'];
	const env = { ...process.env, GIT_COMMITTER_DATE: '1750000000 +0000', GIT_AUTHOR_DATE: '1750000000 +0000' };
	return execFileSync('git', [...who, ...args], { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

function commit(root: string, files: Readonly<Record<string, string>>): void {
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), text);
	}
	git(root, 'add', '-A');
	git(root, 'commit', '-q', '-m', 'A change');
}

/** A git repository with these files. */
function repository(files: Readonly<Record<string, string>>): string {
	const root = makeSource(files);
	git(root, 'init', '-q');
	commit(root, {});
	return root;
}

/** Serves the files of a repository over HTTP, as any web server does; returns its URL. */
async function serveRepository(root: string): Promise<string> {
	git(root, 'update-server-info');
	const server = createServer((request, response) => {
		const path = join(root, '.git', new URL(request.url ?? '', 'http://host').pathname.replace(/^\/app\.git/, ''));
		const isThere = existsSync(path);
		response.writeHead(isThere ? 200 : 404).end(isThere ? readFileSync(path) : '');
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}/app.git`;
}

describe('s2i build', () => {
	test('takes a relative path, an absolute one and a file URL, and does what s2oci does', async () => {
		const { workspace, builder, tag } = await scene();
		const source = repository({ 'a.txt': 'a' });
		const layers: unknown[] = [];
		for (const given of ['.', source, `file://${source}`]) {
			const { result } = await s2i(workspace, ['build', given, builder, tag, '--loglevel=5'], { cwd: source });
			layers.push(result?.layer?.diffId);
		}
		const { result } = await s2oci(workspace, ['build', source, builder, tag]);
		expect(new Set([...layers, result?.layer?.diffId]).size).toBe(1);
		expect(layers[0]).toMatch(/^sha256:/);
	});

	test('shows assemble a --volume, of which nothing is in the image', async () => {
		const { workspace, builder, tag, image } = await scene();
		const volume = makeSource({ 'on-the-host': '' });
		const source = makeSource({ '.s2i/bin/assemble': '#!/bin/sh\nls /home > seen\n' });
		await s2i(workspace, ['build', source, builder, tag, '--volume', `${volume}:/home/:z`]);
		const { entries } = await image();
		expect(entries.get(`${HOME}/seen`)?.content).toBe('on-the-host\n');
		expect([...entries.keys()].filter((name) => name.startsWith('home'))).toEqual([]);
	});

	test('copies a directory that is no repository, with what is there', async () => {
		const { workspace, builder, tag, image } = await scene();
		const { result } = await s2i(workspace, ['build', makeSource({ 'a.txt': 'a' }), builder, tag]);
		expect(result?.source).not.toHaveProperty('commit');
		expect((await image()).entries.has(`${HOME}/a.txt`)).toBe(true);
	});

	test('runs the scripts of the source instead of the builder’s', async () => {
		const { workspace, builder, tag } = await scene();
		const source = repository({
			'.s2i/bin/assemble': '#!/bin/sh\necho this is a custom assemble\n',
			'.s2i/bin/run': '#!/bin/sh\necho this is a custom run\n',
		});
		const { stdout, stderr } = await s2i(workspace, ['build', source, builder, tag, '--run']);
		expect(stderr).toContain('this is a custom assemble\n');
		expect(stdout).toMatch(/@sha256:[0-9a-f]+\nthis is a custom run\n$/);
	});

	test('gives assemble the hosts of --add-host', async () => {
		const { workspace, builder, tag, image } = await scene();
		const fetch = 'if wget http://rubygems.org:9/ 2> said; then exit 9; fi';
		const source = makeSource({ '.s2i/bin/assemble': `#!/bin/sh\n${fetch}\n` });
		await s2i(workspace, ['build', source, builder, tag, '--add-host', 'rubygems.org:0.0.0.0']);
		expect((await image()).entries.get(`${HOME}/said`)?.content).toMatch(/0\.0\.0\.0.*refused/s);
	});

	test('clones a remote repository', async () => {
		const { workspace, builder, tag, image } = await scene();
		const source = repository({ 'a.txt': 'a' });
		const { result } = await s2i(workspace, ['build', await serveRepository(source), builder, tag]);
		expect(result?.source).toMatchObject({ commit: git(source, 'rev-parse', 'HEAD').trim(), ref: 'main' });
		expect((await image()).entries.has(`${HOME}/a.txt`)).toBe(true);
	});

	test('takes a runtime image, a ref and a context directory at once', async () => {
		const { workspace, registry, builder, tag, image } = await scene();
		publish(registry, readLayout(tinyLayout()), 'runtimes/tiny');
		const source = repository({
			'web/.s2i/bin/assemble': '#!/bin/sh\ncp /tmp/src/page made\n',
			'web/.s2i/bin/assemble-runtime': '#!/bin/sh\nls > listed\n',
			'web/page': 'first',
		});
		git(source, 'branch', 'old');
		commit(source, { 'web/page': 'second' });
		const runtime = ['--runtime-image', `${registry.host}/runtimes/tiny`, '-a', `/${HOME}/made`];
		await s2i(workspace, ['build', source, builder, tag, '-r', 'old', '--context-dir', 'web', ...runtime]);
		const { entries } = await image();
		expect(entries.get(`${HOME}/made`)?.content).toBe('first');
		expect(entries.get(`${HOME}/listed`)?.content).toBe('listed\nmade\n');
	});

	test('writes a Dockerfile into a new directory', async () => {
		const { workspace, builder, tag } = await scene();
		const output = join(workspace.root, 'new', 'directory');
		const source = makeSource({ 'a.txt': 'a' });
		await s2i(workspace, ['build', source, builder, tag, '--as-dockerfile', join(output, 'Dockerfile')]);
		expect(readFileSync(join(output, 'Dockerfile'), 'utf8')).toMatch(/^FROM .*builders\/tiny/m);
		expect(readFileSync(join(output, 'upload/src/a.txt'), 'utf8')).toBe('a');
	});

	test('--run ends with everything it started on SIGINT', async () => {
		const { workspace, builder, tag } = await scene();
		const source = makeSource({ '.s2i/bin/run': '#!/bin/sh\necho it runs >&2\nsleep 300 & sleep 300\n' });
		const running = startS2oci(workspace, ['build', source, builder, tag, '--run'], asS2i(workspace));
		await until('the program', () => running.stderr().includes('it runs'), 60_000);
		running.child.kill('SIGINT');
		expect((await running.finished).status).toBe(2);
		expect(await leftovers(workspace)).toEqual([]);
	});
});

describe('s2i rebuild', () => {
	test('repeats an incremental build of a context directory, at its commit, with -p never', async () => {
		const { workspace, registry, builder, tag, image } = await scene();
		const source = repository({ 'web/page': 'first' });
		const args = ['build', `file://${source}`, builder, tag, '--context-dir', 'web', '--incremental'];
		await s2i(workspace, [...args, '-e', 'TINY_X=1']);
		await s2i(workspace, [...args, '-e', 'TINY_X=1']);
		const built = await image();
		commit(source, { 'web/page': 'second' });
		await s2i(workspace, ['rebuild', tag, `${registry.host}/test/again`, '-p', 'never'], { cwd: source });
		const again = await pulled(registry, 'test/again');
		expect(again.entries.get(`${HOME}/page`)?.content).toBe('first');
		expect(again.entries.get(`${HOME}/environment`)?.content).toBe('TINY_X=1\n');
		const label = 'io.openshift.s2i.build.commit.id';
		expect(again.config.config.Labels[label]).toBe(built.config.config.Labels[label]);
	});

	test('works from anywhere when the image was built here, wherever the image has been since', async () => {
		const { workspace, registry, builder, tag } = await scene();
		const source = makeSource({ page: 'first', 'scripts/assemble': '#!/bin/sh\ncp /tmp/src/page made\n' });
		const scripts = ['-s', `file://${join(source, 'scripts')}`];
		await s2i(workspace, ['build', source, builder, tag, '-n', 'The shop', ...scripts]);
		const copy = ['copy', '--format', 'oci', '--src-tls-verify=false', '--dest-tls-verify=false'];
		await promisify(execFile)('skopeo', [...copy, `docker://${tag}`, `docker://${registry.host}/test/moved`]);
		writeFileSync(join(source, 'page'), 'second');
		await s2i(workspace, ['rebuild', `${registry.host}/test/moved`, `${registry.host}/test/again`], { cwd: '/' });
		const again = await pulled(registry, 'test/again');
		expect(again.entries.get(`${HOME}/made`)?.content).toBe('second');
		expect(again.config.config.Labels['io.k8s.display-name']).toBe('The shop');
	});

	test('refuses a source of this host that is elsewhere, since labels may be anybody\u2019s, unless it is named', async () => {
		const { workspace, registry, builder, tag } = await scene();
		const source = makeSource({ page: 'first' });
		await s2i(workspace, ['build', source, builder, tag]);
		const elsewhere = makeWorkspace();
		const refused = await s2oci(elsewhere, ['rebuild', tag], asS2i(elsewhere));
		expect([refused.status, refused.stdout]).toEqual([1, '']);
		expect(refused.stderr).toMatch(/outside of the working directory.*\n?.*hint:/s);
		expect(refused.stderr).toContain(`error: ${tag}`);
		expect(refused.stderr).toContain(`--source "${source}"`);
		const again = `${registry.host}/test/again`;
		await s2i(elsewhere, ['rebuild', tag, again, '--source', source]);
		expect((await pulled(registry, 'test/again')).entries.get(`${HOME}/page`)?.content).toBe('first');
		await s2i(elsewhere, ['rebuild', again, '-q'], { cwd: '/' });
	});

	test('refuses scripts of this host that a foreign image names, though the source is named', async () => {
		const { workspace, builder, tag } = await scene();
		const source = makeSource({ page: 'first', 'scripts/assemble': '#!/bin/sh\n' });
		await s2i(workspace, ['build', source, builder, tag, '-s', `file://${join(source, 'scripts')}`]);
		const elsewhere = makeWorkspace();
		const refused = await s2oci(elsewhere, ['rebuild', tag, '--source', source], asS2i(elsewhere));
		expect(refused.status).toBe(1);
		expect(refused.stderr).toContain('outside of the working directory');
	});

	test('does not believe a record in the store that another user made', async (context) => {
		requireRoot(context);
		const { workspace, builder, tag } = await scene();
		await s2i(workspace, ['build', makeSource({ page: 'first' }), builder, tag]);
		const records = join(workspace.store, 'built');
		for (const name of readdirSync(records)) chownSync(join(records, name), 12345, 12345);
		expect((await s2oci(workspace, ['rebuild', tag], asS2i(workspace))).status).toBe(1);
	});
});

describe('s2i usage', () => {
	test('prints what the script of the builder prints, on stdout, and makes no image', async () => {
		const { workspace, registry } = await scene();
		const { stdout } = await s2i(workspace, ['usage', publishFixture(registry, 'sti-fake-scripts')]);
		expect(stdout).toContain('Sample invocation:\n');
		expect(registry.requests.filter(({ method }) => !['GET', 'HEAD'].includes(method))).toEqual([]);
	});
});

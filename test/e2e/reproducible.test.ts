import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { build, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import { leftovers, makeWorkspace, requireUser, type Workspace } from '../support/host.js';
import { arrange, CHROOT, describeRung, rungOf } from '../support/rung.js';
import { assembleSource, makeSource, TINY_APP, tinyRegistry, withTinyBuilder } from '../support/tiny.js';

withTinyBuilder();

const TIME = 1_600_000_000;
/** Leaves one file for each kind of difference that a shell can make. */
const CHANGING = `
date > stamp
cat /proc/sys/kernel/random/uuid > id 2>/dev/null || head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n' > id
directory=$(mktemp -d) && echo "cd $directory/work" > where && rmdir $directory
echo same > same`;

/** A volume for what a build tells the next one. */
function marks({ root }: Workspace): string {
	const directory = join(root, 'marks');
	mkdirSync(directory);
	chmodSync(directory, 0o777);
	return `${directory}:/mark`;
}

describe('--check-reproducible', () => {
	for (const rung of [rungOf('root', 'runc'), rungOf('s2oci-subuid', 'crun'), rungOf('s2oci-plain', 'bwrap'), CHROOT]) {
		test(`publishes once what is the same twice, on ${describeRung(rung)}`, async (context) => {
			const { workspace, args, options } = arrange(rung, context);
			const registry = await tinyRegistry();
			const words = [TINY_APP, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy', ...args];
			const checked = await build(workspace, [...words, '--check-reproducible'], options);
			expect(checked.stderr.match(/^reproducible: two builds gave the same layer sha256:\w{64}$/gm)).toHaveLength(1);
			expect(checked.result.reproducible).toEqual({ same: true, total: 0, differences: [] });
			expect(checked.result.timings.map(({ stage }) => stage)).toContain('check');
			const put = registry.requests.filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/'));
			expect(put).toHaveLength(1);
			expect(await leftovers(workspace)).toEqual([]);
			const plain = await build(workspace, words, options);
			expect(plain.stdout).toBe(checked.stdout);
		});
	}

	test('fails, naming what differs and why, and publishes nothing', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const source = assembleSource(CHANGING);
		const words = ['build', source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
		const { status, stdout, stderr, result } = await s2oci(workspace, [...words, '--check-reproducible']);
		expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
		expect(result?.error?.code).toBe('ASSEMBLE_NOT_REPRODUCIBLE');
		expect(stderr).toMatch(/^error: two builds .* 3 files differ, and nothing was published$/m);
		expect(stderr).toMatch(/^ {2}opt\/app-root\/src\/stamp: holds a (?:date|time): ".*", then ".*"$/m);
		expect(stderr).toMatch(/^ {2}opt\/app-root\/src\/id: holds a random identifier/m);
		expect(stderr).toMatch(/^ {2}opt\/app-root\/src\/where: holds an absolute path: "\/tmp\/tmp\.\w+/m);
		expect(stderr).toMatch(/^hint: .*SOURCE_DATE_EPOCH/m);
		expect(result?.reproducible).toMatchObject({ same: false, total: 3 });
		expect(result?.reproducible?.differences.map(({ cause }) => cause).sort()).toEqual(['identifier', 'path', 'time']);
		expect(registry.manifests.has('team/app:latest')).toBe(false);
		expect(await leftovers(workspace)).toEqual([]);
	});

	test('shows 20 files of many, and how many there are', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const source = assembleSource('for i in $(seq 25); do date > stamp-$i; done');
		const words = ['build', source, `${registry.host}/builders/tiny`, '--check-reproducible'];
		const { status, stderr, result } = await s2oci(workspace, words);
		expect(status).toBe(1);
		expect(stderr.match(/^ {2}opt\/\S+: /gm)).toHaveLength(20);
		expect(stderr).toMatch(/25 files differ[^]*\n {2}and 5 more\n/);
		expect(result?.reproducible).toMatchObject({ total: 25 });
	});

	test('finds the time in a gzip header and in byte code, and members in another order', async () => {
		const [workspace, registry] = [makeWorkspace(), await tinyRegistry()];
		const packed = gzipSync('text').toString('base64');
		const script = `
		now=$(printf '%08x' $(date +%s)); le=$(echo $now | sed 's/\\(..\\)\\(..\\)\\(..\\)\\(..\\)/\\\\x\\4\\\\x\\3\\\\x\\2\\\\x\\1/')
		echo ${packed} | base64 -d > whole
		{ head -c 4 whole; printf "$le"; tail -c +9 whole; } > made.gz && rm whole
		{ printf '\\313\\r\\r\\n\\0\\0\\0\\0'; printf "$le"; printf '\\4\\0\\0\\0code'; } > module.pyc
		mkdir members && echo a > members/a && echo b > members/b
		order='a b'; if [ -e /mark/ran ]; then order='b a'; fi; touch /mark/ran
		touch -d @1 members/a members/b && tar -C members -cf made.tar $order && rm -r members`;
		const words = ['build', assembleSource(script), `${registry.host}/builders/tiny`, '--volume', marks(workspace)];
		const { result } = await s2oci(workspace, [...words, '--check-reproducible']);
		const causes: Readonly<Record<string, string>> = Object.fromEntries(
			(result?.reproducible?.differences ?? []).map(({ path, cause }) => [path.split('/').at(-1) ?? '', cause]),
		);
		expect(causes).toEqual({ 'made.gz': 'gzip-time', 'module.pyc': 'python-bytecode', 'made.tar': 'member-order' });
	});

	test('fails as a build does when assemble fails the second time', async (context) => {
		const workspace = makeWorkspace(requireUser(context, 's2oci-plain'));
		const registry = await tinyRegistry();
		const script = 'if [ -e /mark/ran ]; then echo twice; exit 3; fi; touch /mark/ran';
		const words = ['build', assembleSource(script), `${registry.host}/builders/tiny`, '--volume', marks(workspace)];
		const { status, result } = await s2oci(workspace, [...words, '--check-reproducible']);
		expect(status).toBe(1);
		expect(result?.error).toMatchObject({
			code: 'ASSEMBLE_FAILED',
			message: expect.stringContaining('twice') as string,
		});
	});
});

describe('the time of an image', () => {
	const source = () =>
		makeSource({ 'old.txt': 'old\n', '.s2i/bin/assemble': '#!/bin/sh\ncp -p /tmp/src/old.txt .; echo new > new\n' });

	test.each<[string, readonly string[], Readonly<Record<string, string>>, number]>([
		['--timestamp in seconds', ['--timestamp', String(TIME)], {}, TIME],
		['--timestamp in RFC 3339', ['--timestamp', '2020-09-13T12:26:40Z'], {}, TIME],
		['--timestamp before SOURCE_DATE_EPOCH', ['--timestamp', String(TIME)], { SOURCE_DATE_EPOCH: '5' }, TIME],
		['SOURCE_DATE_EPOCH', [], { SOURCE_DATE_EPOCH: String(TIME) }, TIME],
		['the newest file of the source', [], {}, 1_750_000_000],
	])('is %s, in the config, its history and the layer', async (_what, options, env, time) => {
		const registry = await tinyRegistry();
		const words = [source(), `${registry.host}/builders/tiny`, `${registry.host}/team/app`, ...options];
		await build(makeWorkspace(), words, { env });
		const { config, entries } = await pulled(registry, 'team/app');
		const created = new Date(time * 1000).toISOString().replace('.000', '');
		expect(config.created).toBe(created);
		expect(config.history.at(-1)).toMatchObject({ created });
		for (const [name, { header }] of entries) {
			expect(header.mtime.getTime(), name).toBeLessThanOrEqual(time * 1000);
		}
		expect(entries.get('opt/app-root/src/new')?.header.mtime.getTime()).toBe(time * 1000);
		expect(entries.get('opt/app-root/src/old.txt')?.header.mtime.getTime()).toBe(Math.min(time, 1_750_000_000) * 1000);
	});

	test('is the commit’s in a git repository', async () => {
		const registry = await tinyRegistry();
		const repository = source();
		const git = (...args: readonly string[]) =>
			execFileSync('git', ['-C', repository, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
				env: { ...process.env, GIT_COMMITTER_DATE: `@${TIME + 7} +0000`, GIT_AUTHOR_DATE: `@${TIME} +0000` },
				stdio: 'ignore',
			});
		git('init', '-q');
		git('add', '.');
		git('commit', '-qm', 'first');
		await build(makeWorkspace(), [repository, `${registry.host}/builders/tiny`, `${registry.host}/team/app`]);
		const { config } = await pulled(registry, 'team/app');
		expect(config.created).toBe(new Date((TIME + 7) * 1000).toISOString().replace('.000', ''));
	});

	test('makes the same image of the same source at any hour', async () => {
		const registry = await tinyRegistry();
		const words = [source(), `${registry.host}/builders/tiny`, `${registry.host}/team/app`];
		const first = await build(makeWorkspace(), words);
		await delay(1100);
		const second = await build(makeWorkspace(), words);
		expect(second.stdout).toBe(first.stdout);
	});

	test.each([
		[['--timestamp', 'yesterday'], {}],
		[[], { SOURCE_DATE_EPOCH: 'yesterday' }],
	])('is not guessed from %j and %j', async (options, env) => {
		const registry = await tinyRegistry();
		const words = ['build', source(), `${registry.host}/builders/tiny`, ...options];
		const { status, stderr } = await s2oci(makeWorkspace(), words, { env });
		expect(status).toBe(2);
		expect(stderr).toMatch(/^error: .*(?:timestamp|SOURCE_DATE_EPOCH)/m);
	});
});

import { execFileSync } from 'node:child_process';
import {
	chmodSync,
	chownSync,
	existsSync,
	mkdirSync,
	readdirSync,
	renameSync,
	rmSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.js';
import { build, PROGRAM, type RunOptions, s2oci } from '../support/build.js';
import { pulled } from '../support/built.js';
import { leftovers, makeWorkspace, requireRoot, requireUser, type UserName, type Workspace } from '../support/host.js';
import type { TestRegistry } from '../support/registry.js';
import {
	assembleSource,
	encodeImage,
	makeSource,
	publish,
	readLayout,
	tinyParts,
	tinyRegistry,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

const KEY = 'io.s2oci.build-key';
/** Each run of it makes another image. */
const CHANGING = 'cp /tmp/src/*.txt . 2>/dev/null; cat /proc/sys/kernel/random/uuid > id';

interface Scene {
	readonly registry: TestRegistry;
	readonly workspace: Workspace;
	readonly source: string;
	/** Builds to `team/app:latest`, reusing where s2oci does by itself. */
	readonly run: (args?: readonly string[], options?: RunOptions, workspace?: Workspace) => ReturnType<typeof build>;
}

async function setUp(script = CHANGING, workspace = makeWorkspace()): Promise<Scene> {
	const registry = await tinyRegistry();
	const source = assembleSource(script);
	const builder = `${registry.host}/builders/tiny`;
	const run: Scene['run'] = (args = [], options = {}, by = workspace) =>
		build(by, [source, builder, `${registry.host}/team/app`, ...args], { mayReuse: true, ...options });
	return { registry, workspace, source, run };
}

const labelOf = async (registry: TestRegistry) => (await pulled(registry, 'team/app')).config.config.Labels[KEY];

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('an unchanged build, by %s', (name) => {
	test('runs nothing, names the image again in three requests, and says why', async (context) => {
		const { registry, workspace, run } = await setUp(CHANGING, makeWorkspace(requireUser(context, name)));
		const first = await run();
		expect(first.result.reused).toBeUndefined();
		registry.requests.length = 0;
		const second = await run();
		expect(second.result).toMatchObject({ success: true, reused: true, digest: first.result.digest });
		expect(second.result.configDigest).toBe(first.result.configDigest);
		expect(second.stdout).toBe(first.stdout);
		expect(second.stderr).toMatch(/builder, source, scripts, options and environment are those of .*nothing runs/);
		expect(second.stderr).toMatch(/^named again /m);
		expect(second.stderr).not.toContain('assemble begins');
		expect(registry.requests.length).toBeLessThanOrEqual(3);
		expect(await leftovers(workspace)).toEqual([]);
	});
});

test('an unchanged build starts no worker, and one that changed does', async () => {
	const { workspace, source, run } = await setUp();
	const [bin, started] = [join(workspace.root, 'bin'), join(workspace.root, 'started')];
	mkdirSync(bin);
	writeFileSync(join(bin, 'unshare'), `#!/bin/sh\n: >${started}\nPATH=\${PATH#*:} exec unshare "$@"\n`, {
		mode: 0o755,
	});
	const options = { env: { PATH: `${bin}:${process.env['PATH']}` } };
	await run([], options);
	expect(existsSync(started)).toBe(true);
	// One that takes long to find out starts a worker meanwhile, as it may on a machine that has much to do.
	let tries = 0;
	do {
		rmSync(started);
		expect((await run([], options)).result.reused).toBe(true);
	} while (existsSync(started) && ++tries < 20);
	expect(existsSync(started)).toBe(false);
	writeFileSync(join(source, 'new.txt'), 'new');
	expect((await run([], options)).result.reused).toBeUndefined();
	expect(existsSync(started)).toBe(true);
});

describe('what is reused', () => {
	test('is the image of a source with other times, another name and another commit', async () => {
		const { registry, workspace, source, run } = await setUp();
		const first = await run();
		utimesSync(join(source, '.s2i/bin/assemble'), 1, 1);
		const git = (...args: readonly string[]) => execFileSync('git', ['-C', source, ...args]);
		git('init', '-q');
		git('add', '.');
		const who = ['-c', 'user.name=A', '-c', 'user.email=a@b'];
		git(...who, 'commit', '-q', '-m', 'first');
		expect((await run()).result).toMatchObject({ reused: true, digest: first.result.digest });
		git(...who, 'commit', '-q', '--allow-empty', '-m', 'second');
		const again = await run();
		expect(again.result).toMatchObject({ reused: true, digest: first.result.digest, source: { message: 'second' } });
		const words = [source, `${registry.host}/builders/tiny`, `${registry.host}/team/app:other`];
		const named = await build(workspace, words, { mayReuse: true });
		expect(named.result).toMatchObject({ reused: true, digest: first.result.digest });
		expect(digestOf(registry.manifests.get('team/app:other')?.bytes ?? Buffer.from(''))).toBe(first.result.digest);
	});

	test('goes to every target, from wherever it is', async () => {
		const { workspace, run } = await setUp();
		const first = await run();
		const layout = join(workspace.root, 'layout');
		const archive = join(workspace.root, 'image.tar');
		const second = await run(['-o', `oci:${layout}:1`, '-o', `docker-archive:${archive}:app:1`]);
		expect(second.result).toMatchObject({ reused: true, digest: first.result.digest });
		expect(digestOf(readLayout(layout).manifest)).toBe(first.result.digest);
		expect(execFileSync('tar', ['-tf', archive]).toString()).toContain('manifest.json');
		expect((await run(['-o', `oci:${layout}:1`])).result.reused).toBe(true);
		const [blob = ''] = readdirSync(join(layout, 'blobs/sha256')).filter(
			(each) => !first.result.digest?.endsWith(each),
		);
		rmSync(join(layout, 'blobs/sha256', blob));
		expect((await run(['-o', `oci:${layout}:1`])).result.reused).toBe(true);
		expect(readdirSync(join(layout, 'blobs/sha256'))).toContain(blob);
	});
});

describe('a build is made again', () => {
	const change = (work: (source: string) => void) => async (scene: Scene) => {
		work(scene.source);
		return scene.run();
	};
	test.each<[string, (scene: Scene) => ReturnType<typeof build>]>([
		['a file changed', change((source) => writeFileSync(join(source, 'a.txt'), 'a'))],
		['a file may be executed', change((source) => chmodSync(join(source, 'one'), 0o755))],
		['there is a link', change((source) => symlinkSync('a', join(source, 'l')))],
		['a variable of the source changed', change((source) => writeFileSync(join(source, '.s2i/environment'), 'A=1'))],
		['a variable changed', ({ run }) => run(['-e', 'A=2'])],
		['a variable of assemble changed', ({ run }) => run(['--build-env', 'A=2'])],
		['a name was given', ({ run }) => run(['-n', 'shop'])],
		['a label changed', ({ run }) => run(['--label', 'a=2'])],
		['SOURCE_DATE_EPOCH is set', ({ run }) => run([], { env: { SOURCE_DATE_EPOCH: '1700000000' } })],
		['another sandbox is asked for', ({ run }) => run(['--isolation', 'bwrap'])],
		['another root file system is asked for', ({ run }) => run(['--rootfs', 'copy'])],
		['assemble may use less', ({ run }) => run(['--ulimit', 'nofile=1000'])],
		['assemble is to say more', ({ run }) => run(['--loglevel', '5'])],
		['it is asked for', ({ run }) => run(['--reuse', 'never'])],
		['it is to be checked', async ({ run }) => run(['--check-reproducible'])],
		['a volume is shown', ({ run, source }) => run(['-v', `${source}:/mnt`])],
		['something is injected', ({ run, source }) => run(['-i', `${join(source, 'one')}:/mnt`])],
	])('when %s', async (_name, again) => {
		const scene = await setUp('cp /tmp/src/one . 2>/dev/null; date +%s > /dev/null');
		writeFileSync(join(scene.source, 'one'), '1');
		await scene.run();
		expect((await again(scene)).result.reused).toBeUndefined();
	});

	test('when scripts of this host changed', async () => {
		const { run } = await setUp();
		const scripts = makeSource({ 'bin/assemble': '#!/bin/sh\ntrue\n' });
		const args = ['-s', `file://${join(scripts, 'bin')}`];
		await run(args);
		expect((await run(args)).result.reused).toBe(true);
		writeFileSync(join(scripts, 'bin/assemble'), '#!/bin/sh\ncd /\n');
		expect((await run(args)).result.reused).toBeUndefined();
	});

	test('when there is another builder image', async () => {
		const { registry, run } = await setUp();
		await run();
		const parts = tinyParts();
		const config = { ...parts.config, created: '2025-05-05T00:00:00Z' };
		const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
		publish(
			registry,
			encodeImage({ ...parts, config }, (tar) => ({ mediaType, bytes: gzipSync(tar) })),
		);
		expect((await run(['--reuse', 'auto'])).result.reused).toBeUndefined();
	});

	test('when the image is nowhere any more', async () => {
		const { registry, run } = await setUp();
		const { result } = await run();
		registry.manifests.delete('team/app:latest');
		registry.manifests.delete(`team/app@${String(result.digest)}`);
		expect((await run()).result.reused).toBeUndefined();
	});

	test('when s2oci rebuild is called, or it is called as s2i', async () => {
		const { registry, workspace, run } = await setUp();
		const first = await run();
		const rebuilt = await s2oci(workspace, ['rebuild', `${registry.host}/team/app`]);
		expect([rebuilt.status, rebuilt.stdout === first.stdout]).toEqual([0, false]);
		const program = join(workspace.home, 's2i');
		symlinkSync(PROGRAM, program);
		const image = `oci:${join(workspace.root, 'layout')}:1`;
		const args = [assembleSource(CHANGING), `docker://${registry.host}/builders/tiny`, image, '--copy'];
		const again = () => build(workspace, args, { mayReuse: true, program });
		expect([(await again()).result.reused, (await again()).result.reused]).toEqual([undefined, undefined]);
	});

	test('when assemble or its image says that it is volatile', async () => {
		const metadata = `mkdir -p /tmp/.s2i; echo '{"labels":[{"io.s2oci.volatile":"true"}]}' > /tmp/.s2i/image_metadata.json`;
		const { registry, run } = await setUp(metadata);
		const first = await run();
		expect(await labelOf(registry)).toBeUndefined();
		expect(first.stderr).not.toMatch(/warning: .*labels/);
		expect((await run(['--reuse', 'auto'])).result.reused).toBeUndefined();
	});

	test('when its record belongs to somebody else', async (context) => {
		requireRoot(context);
		const { workspace, run } = await setUp();
		await run();
		for (const name of readdirSync(join(workspace.store, 'reuse')))
			chownSync(join(workspace.store, 'reuse', name), 12_345, 12_345);
		expect((await run()).result.reused).toBeUndefined();
	});

	test('when its record was made for another build', async () => {
		const { workspace, source, run } = await setUp();
		const records = join(workspace.store, 'reuse');
		await run();
		const [first] = readdirSync(records);
		writeFileSync(join(source, 'new.txt'), 'new');
		await run();
		const second = readdirSync(records).find((name) => name !== first);
		renameSync(join(records, String(first)), join(records, String(second)));
		expect((await run()).result.reused).toBeUndefined();
	});
});

describe('on another host', () => {
	test('the image of the tag is named again only when that is asked for', async () => {
		const { registry, run } = await setUp();
		const first = await run();
		expect(await labelOf(registry)).toMatch(/^sha256:/);
		expect((await run(['--reuse', 'auto'], {}, makeWorkspace())).result).toMatchObject({
			reused: true,
			digest: first.result.digest,
		});
		expect((await run([], {}, makeWorkspace())).result.reused).toBeUndefined();
	});

	test('an image is found by the cache of its artifacts', async () => {
		const { registry, run } = await setUp(`${CHANGING}; mkdir -p kept`);
		const cache = ['--cache-to', `${registry.host}/team/cache`, '--cache-from', `${registry.host}/team/cache`];
		const first = await run(cache);
		registry.manifests.delete('team/app:latest');
		const second = await run([...cache, '--reuse', 'auto'], {}, makeWorkspace());
		expect(second.result).toMatchObject({ reused: true, digest: first.result.digest });
		expect(registry.manifests.has('team/app:latest')).toBe(true);
	});

	test('an image with the label but with other layers below is not', async () => {
		const { registry, run } = await setUp();
		await run();
		const image = await pulled(registry, 'team/app');
		const { tars, config } = tinyParts();
		const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
		const forged = encodeImage(
			{ tars: [...tars.slice(1), ...tars], config: { ...config, config: image.config.config } },
			(tar) => ({
				mediaType,
				bytes: gzipSync(tar),
			}),
		);
		publish(registry, forged, 'team/app');
		expect((await run(['--reuse', 'auto'], {}, makeWorkspace())).result.reused).toBeUndefined();
	});
});

describe('secrets and variables of assemble', () => {
	test('leave no key in the image', async () => {
		const { registry, run } = await setUp();
		await run(['--build-env', 'TOKEN=x']);
		expect(await labelOf(registry)).toBeUndefined();
		expect((await run(['--build-env', 'TOKEN=x'])).result.reused).toBe(true);
	});

	test('are compared where that is asked for, and else the build is made', async () => {
		const { run } = await setUp();
		const secret = (value: string, ...args: readonly string[]) =>
			run(['--secret', 'id=token,env=TOKEN', ...args], { env: { TOKEN: value } });
		await secret('a');
		expect((await secret('a')).result.reused).toBeUndefined();
		await secret('a', '--reuse', 'auto');
		expect((await secret('a', '--reuse', 'auto')).result.reused).toBe(true);
		expect((await secret('b', '--reuse', 'auto')).result.reused).toBeUndefined();
	});
});

import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { build } from '../support/build.js';
import { pulled } from '../support/built.js';
import { leftovers, makeWorkspace, requireUser, type UserName, type Workspace } from '../support/host.js';
import type { Faults, TestRegistry } from '../support/registry.js';
import {
	assembleSource,
	encodeImage,
	publish,
	TINY_APP,
	tinyParts,
	tinyRegistry,
	warns,
	withTinyBuilder,
} from '../support/tiny.js';

withTinyBuilder();

/** A registry whose cache is `team/cache`, and builds in stores of their own. */
async function setUp(faults: Faults = {}) {
	const registry = await tinyRegistry(faults);
	const cache = `${registry.host}/team/cache`;
	const run = (workspace: Workspace, args: readonly string[], source = TINY_APP) =>
		build(workspace, [source, `${registry.host}/builders/tiny`, `${registry.host}/team/app`, '--copy', ...args]);
	return { registry, cache, run };
}

const restored = async (registry: TestRegistry) =>
	(await pulled(registry, 'team/app')).entries.get('opt/app-root/src/save-artifacts-invoked')?.content === 'restored\n';
const tagsOf = (registry: TestRegistry, repository: string) =>
	[...registry.manifests.keys()].filter((key) => key.startsWith(`${repository}:`));
const uploads = (registry: TestRegistry) =>
	registry.requests.filter(({ method, path }) => method === 'POST' && path.startsWith('/v2/team/cache/blobs/uploads/'));

/** The builder image as its maintainer would push it again: the same scripts, another digest. */
function updateBuilder(registry: TestRegistry): void {
	const parts = tinyParts();
	const config = { ...parts.config, created: '2025-05-05T00:00:00Z' };
	const encode = (tar: Uint8Array) => ({
		mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
		bytes: gzipSync(tar),
	});
	publish(registry, encodeImage({ ...parts, config }, encode));
}

describe.each<UserName>(['root', 's2oci-subuid', 's2oci-plain'])('artifacts in a cache, by %s', (name) => {
	test('are restored in a fresh store, without the previous image', async (context) => {
		const { registry, cache, run } = await setUp();
		const user = requireUser(context, name);
		const first = await run(makeWorkspace(user), ['--cache-to', cache, '--cache-from', cache]);
		expect([await restored(registry), warns(first.stderr)]).toEqual([false, false]);
		registry.manifests.delete('team/app:latest');
		const workspace = makeWorkspace(user);
		const second = await run(workspace, ['--cache-from', cache]);
		expect([await restored(registry), warns(second.stderr)]).toEqual([true, false]);
		expect(await leftovers(workspace)).toEqual([]);
	});
});

describe('--cache-to', () => {
	test('uploads nothing when the artifacts are the same', async () => {
		const { registry, cache, run } = await setUp();
		const script = 'if [ -d /tmp/artifacts ]; then mv /tmp/artifacts/kept .; else echo kept > kept; fi';
		const source = assembleSource(script);
		await run(makeWorkspace(), ['--cache-to', cache], source);
		const before = uploads(registry).length;
		expect(before).toBe(2);
		await run(makeWorkspace(), ['--cache-to', cache, '--cache-from', cache], source);
		expect(uploads(registry)).toHaveLength(before);
	});

	test('writes an OCI artifact with its type, builder and source', async () => {
		const { registry, cache, run } = await setUp();
		await run(makeWorkspace(), ['--cache-to', cache]);
		const [exact, similar] = tagsOf(registry, 'team/cache');
		expect([exact, similar]).toEqual([expect.stringMatching(/:s2oci-[0-9a-f]{32}$/), expect.any(String)]);
		const stored = registry.manifests.get(String(exact));
		expect(JSON.parse(Buffer.from(stored?.bytes ?? []).toString())).toMatchObject({
			artifactType: 'application/vnd.s2oci.artifacts.v1',
			config: { mediaType: 'application/vnd.oci.empty.v1+json' },
			annotations: {
				'io.s2oci.artifacts.builder-digest': expect.stringMatching(/^sha256:/) as unknown,
				'org.opencontainers.image.created': expect.stringMatching(/Z$/) as unknown,
			},
		});
	});

	test('writes an ordinary image where artifacts are refused, which is read all the same', async () => {
		const { registry, cache, run } = await setUp({ noArtifacts: true });
		await run(makeWorkspace(), ['--cache-to', cache]);
		await run(makeWorkspace(), ['--cache-from', cache]);
		expect(await restored(registry)).toBe(true);
	});

	test('leaves nothing of save-artifacts in the image', async () => {
		const { registry, cache, run } = await setUp();
		const save = '#!/bin/sh\ncd /opt/app-root/src && echo x > made-by-save && exec tar -cf - kept\n';
		const source = assembleSource('cp -R /tmp/src/. . && echo kept > kept', { '.s2i/bin/save-artifacts': save });
		await run(makeWorkspace(), ['--cache-to', cache], source);
		const names = [...(await pulled(registry, 'team/app')).entries.keys()];
		expect(names).toContain('opt/app-root/src/kept');
		expect(names).not.toContain('opt/app-root/src/made-by-save');
	});

	test('that fails does not fail the build', async () => {
		const { registry, run } = await setUp();
		const { stderr } = await run(makeWorkspace(), ['--cache-to', '127.0.0.1:1/team/cache']);
		expect(stderr).toContain('the artifacts were not pushed to 127.0.0.1:1/team/cache');
		expect(registry.manifests.has('team/app:latest')).toBe(true);
	});
});

describe('--cache-from', () => {
	test('takes artifacts of another version of the builder image when there are no others', async () => {
		const { registry, cache, run } = await setUp();
		await run(makeWorkspace(), ['--cache-to', cache]);
		updateBuilder(registry);
		await run(makeWorkspace(), ['--cache-from', cache]);
		expect(await restored(registry)).toBe(true);
	});

	test('takes nothing of another source', async () => {
		const { registry, cache, run } = await setUp();
		await run(makeWorkspace(), ['--cache-to', cache]);
		const source = assembleSource('if [ -e /tmp/artifacts ]; then echo restored > save-artifacts-invoked; fi');
		await run(makeWorkspace(), ['--cache-from', cache], source);
		expect(await restored(registry)).toBe(false);
	});

	test('shares artifacts between sources that name the same tag', async () => {
		const { registry, cache, run } = await setUp();
		await run(makeWorkspace(), ['--cache-to', `${cache}:main`]);
		expect(tagsOf(registry, 'team/cache')).toEqual(['team/cache:main']);
		const source = assembleSource('if [ -e /tmp/artifacts ]; then echo restored > save-artifacts-invoked; fi');
		await run(makeWorkspace(), ['--cache-from', `${cache}:main`], source);
		expect(await restored(registry)).toBe(true);
	});

	test('reads and writes layouts, too', async () => {
		const { registry, run } = await setUp();
		const workspace = makeWorkspace();
		await run(workspace, ['--cache-to', `oci:${workspace.root}/cache`]);
		await run(makeWorkspace(), ['--cache-from', `oci:${workspace.root}/cache`]);
		expect(await restored(registry)).toBe(true);
	});

	test('that cannot be reached, or is damaged, makes a clean build with a warning', async () => {
		const { registry, cache, run } = await setUp();
		await run(makeWorkspace(), ['--cache-to', cache]);
		for (const key of registry.blobs.keys()) {
			if (key.startsWith('team/cache@')) registry.blobs.set(key, Buffer.from('damaged'));
		}
		const { stderr } = await run(makeWorkspace(), ['--cache-from', cache]);
		expect(stderr).toContain('cannot be used');
		expect(await restored(registry)).toBe(false);
	});

	test('is asked after the previous image', async () => {
		const { registry, cache, run } = await setUp();
		await run(makeWorkspace(), ['--cache-to', cache]);
		const before = registry.requests.length;
		await run(makeWorkspace(), ['--incremental', '--cache-from', cache]);
		expect(await restored(registry)).toBe(true);
		expect(registry.requests.slice(before).some(({ path }) => path.startsWith('/v2/team/cache/'))).toBe(false);
	});
});

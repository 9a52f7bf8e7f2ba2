import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDockerArchive } from '../../../src/content/docker-archive.js';
import { readBytes } from '../../../src/content/verify.js';
import { digestOf } from '../../../src/oci/digest.js';
import type { Manifest } from '../../../src/oci/image.js';

type Entry = readonly [name: string, content: Uint8Array | string] | readonly [name: string, link: { to: string }];
const { signal } = new AbortController();
const layer = Buffer.from('a plain layer');
const config = JSON.stringify({
	os: 'linux',
	architecture: 'amd64',
	rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
});
let root: string;

beforeEach(async () => {
	root = await mkdtemp(join(tmpdir(), 's2oci-archive-'));
});

afterEach(() => rm(root, { recursive: true, force: true }));

function list(layers: readonly string[], tags: readonly string[] = ['app:v1'], name = 'config.json'): string {
	return JSON.stringify([{ Config: name, RepoTags: tags, Layers: layers }]);
}

async function archive(...entries: readonly Entry[]): Promise<string> {
	const tar = pack();
	for (const [name, content] of entries) {
		if (typeof content === 'object' && 'to' in content) tar.entry({ name, type: 'symlink', linkname: content.to });
		else tar.entry({ name }, Buffer.from(content));
	}
	tar.finalize();
	const path = join(root, 'image.tar');
	await writeFile(path, await readBytes(tar as AsyncIterable<Uint8Array>, 10_000_000, 'the tar'));
	return path;
}

async function layerOf(path: string): Promise<{ mediaType: string; bytes: Uint8Array }> {
	const source = await openDockerArchive(path, signal);
	const { value } = await source.manifest('', signal);
	const [blob] = (value as Manifest).layers;
	if (blob === undefined) throw new Error('no layer');
	return { mediaType: blob.mediaType, bytes: await readBytes(await source.open(blob, signal), 1000, 'layer') };
}

describe('a Docker archive', () => {
	test('is read with plain layers, whose digests are the diffIDs', async () => {
		const path = await archive(['manifest.json', list(['l.tar'])], ['config.json', config], ['l.tar', layer]);
		const { mediaType, bytes } = await layerOf(path);
		expect(mediaType).toBe('application/vnd.docker.image.rootfs.diff.tar');
		expect(Buffer.from(bytes).toString()).toBe('a plain layer');
	});

	test('may hold compressed layers, and layers that are links to others as old docker save wrote them', async () => {
		const path = await archive(
			['manifest.json', list(['b/layer.tar'])],
			['config.json', config],
			['a/layer.tar', gzipSync(layer)],
			['b/layer.tar', { to: '../a/layer.tar' }],
		);
		const { mediaType, bytes } = await layerOf(path);
		expect(mediaType).toBe('application/vnd.docker.image.rootfs.diff.tar.gzip');
		expect(bytes.length).toBe(gzipSync(layer).length);
	});

	test('with a layer that is not what the config names fails when the layer is read', async () => {
		const path = await archive(['manifest.json', list(['l.tar'])], ['config.json', config], ['l.tar', 'another layer']);
		await expect(layerOf(path)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
	});

	test('finds images by name with Docker Hub defaults, and lists the names it has', async () => {
		const path = await archive(['manifest.json', list(['l.tar'])], ['config.json', config], ['l.tar', layer]);
		const source = await openDockerArchive(path, signal);
		await expect(source.manifest('docker.io/library/app:v1', signal)).resolves.toBeDefined();
		await expect(source.manifest('app:v2', signal)).rejects.toMatchObject({
			hint: expect.stringContaining('app:v1') as string,
		});
	});

	test.each<[string, readonly Entry[]]>([
		['no manifest.json', [['x', 'y']]],
		['a manifest.json that is no JSON', [['manifest.json', '[']]],
		['a manifest.json that is no list', [['manifest.json', '{}']]],
		['a missing config', [['manifest.json', list([])]]],
		['a config outside the archive', [['manifest.json', list([], [], '../../../../etc/passwd')]]],
		[
			'a missing layer',
			[
				['manifest.json', list(['l.tar'])],
				['config.json', config],
			],
		],
		[
			'layer links in a circle',
			[
				['manifest.json', list(['a'])],
				['config.json', config],
				['a', { to: 'b' }],
				['b', { to: 'a' }],
			],
		],
		[
			'a layer link to a file of the host',
			[
				['manifest.json', list(['a'])],
				['config.json', config],
				['a', { to: '../../../../../../etc/passwd' }],
			],
		],
	])('with %s is IMAGE_INVALID', async (_title, entries) => {
		const path = await archive(...entries);
		await expect(layerOf(path)).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
	});

	test('that is cut short or no tar at all is IMAGE_INVALID', async () => {
		const path = join(root, 'broken.tar');
		await writeFile(path, Buffer.alloc(2000, 'x'));
		await expect(openDockerArchive(path, signal)).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
		await expect(openDockerArchive(join(root, 'none'), signal)).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
	});
});

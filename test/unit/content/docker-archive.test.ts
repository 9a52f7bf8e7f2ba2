import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { receiveMembers } from '../../../src/content/archive-members.js';
import { dockerArchiveSource, openDockerArchive } from '../../../src/content/docker-archive.js';
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
const scratch = () => mkdtemp(join(root, 'scratch-'));

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
	const source = await openDockerArchive(path, scratch, signal);
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
		const source = await openDockerArchive(path, scratch, signal);
		await expect(source.manifest('docker.io/library/app:v1', signal)).resolves.toBeDefined();
		await expect(source.manifest('app:v2', signal)).rejects.toMatchObject({
			hint: expect.stringContaining('app:v1') as string,
		});
	});

	const whole = () =>
		archive(['l.tar', layer], ['./config.json', config], ['./manifest.json', list(['./l.tar'])], ['dir/', '']);
	const halves = (bytes: Buffer) => [bytes.subarray(0, 700), bytes.subarray(700)] as const;

	test.each<[string, (tar: Buffer) => Buffer]>([
		['gzip', (tar) => gzipSync(tar)],
		['gzip of several members', (tar) => Buffer.concat(halves(tar).map((part) => gzipSync(part)))],
		['gzip with zeros behind it', (tar) => Buffer.concat([gzipSync(tar), Buffer.alloc(1024)])],
		['zstd', (tar) => zstdCompressSync(tar)],
		['zstd of several frames', (tar) => Buffer.concat(halves(tar).map((part) => zstdCompressSync(part)))],
		[
			'zstd behind a skippable frame',
			(tar) => Buffer.concat([Buffer.from('502a4d1803000000616263', 'hex'), zstdCompressSync(tar)]),
		],
		['nothing, with other bytes behind its end', (tar) => Buffer.concat([tar, Buffer.alloc(777, 'x')])],
	])('compressed with %s is read, whatever its name', async (_title, change) => {
		const path = await whole();
		await writeFile(path, change(await readFile(path)));
		expect(Buffer.from((await layerOf(path)).bytes).toString()).toBe('a plain layer');
	});

	test('comes once through a pipe', async () => {
		const path = await whole();
		const fifo = join(root, 'fifo');
		execFileSync('mkfifo', [fifo]);
		const written = writeFile(fifo, gzipSync(await readFile(path)));
		expect(Buffer.from((await layerOf(fifo)).bytes).toString()).toBe('a plain layer');
		await written;
		const members = await receiveMembers(createReadStream(path, { highWaterMark: 7 }), root, 'the pipe', signal);
		await expect((await dockerArchiveSource(members, 'the pipe')).manifest('', signal)).resolves.toBeDefined();
	});

	test('needs no scratch when it is a plain tar', async () => {
		await layerOf(await whole());
		expect((await readdir(root)).filter((name) => name.startsWith('scratch-'))).toEqual([]);
	});

	test('with several images gives them by name and by number', async () => {
		const image = (tag: string | null) => ({ Config: 'config.json', RepoTags: tag && [tag], Layers: ['l.tar'] });
		const names = JSON.stringify([image('app:v1'), image(null), image('app:v2')]);
		const path = await archive(['manifest.json', names], ['config.json', config], ['l.tar', layer]);
		const source = await openDockerArchive(path, scratch, signal);
		for (const name of ['app:v2', '@1', '@2']) await expect(source.manifest(name, signal)).resolves.toBeDefined();
		for (const name of ['', '@3', 'app:v3'])
			await expect(source.manifest(name, signal)).rejects.toMatchObject({
				code: 'IMAGE_INVALID',
				hint: expect.stringContaining('@0') as string,
			});
	});

	test('without layers may say so with null', async () => {
		const empty = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: null } });
		const names = JSON.stringify([{ Config: 'config.json', RepoTags: null, Layers: null }]);
		const path = await archive(['manifest.json', names], ['config.json', empty]);
		const { value } = await (await openDockerArchive(path, scratch, signal)).manifest('', signal);
		expect(value).toMatchObject({ layers: [] });
	});

	test.each<[string, string, (tar: Buffer) => Buffer]>([
		['gzip that is cut', 'IMAGE_INVALID', (tar) => gzipSync(tar).subarray(0, -20)],
		['gzip of a cut tar', 'IMAGE_INVALID', (tar) => gzipSync(tar.subarray(0, 600))],
		['zstd that is cut', 'IMAGE_INVALID', (tar) => zstdCompressSync(tar).subarray(0, -20)],
		['a damaged gzip', 'IMAGE_INVALID', (tar) => Buffer.from(gzipSync(tar)).fill(0x55, 30, 60)],
		['xz', 'IMAGE_UNSUPPORTED', () => Buffer.from('fd377a585a000004', 'hex')],
		['bzip2', 'IMAGE_UNSUPPORTED', () => Buffer.from('BZh91AY&SY')],
	])('that is %s is %s and named', async (_title, code, change) => {
		const path = await whole();
		await writeFile(path, change(await readFile(path)));
		await expect(openDockerArchive(path, scratch, signal)).rejects.toMatchObject({ code });
	});

	test('that is an OCI archive says how to name it', async () => {
		const path = await archive(['index.json', '{}']);
		await expect(openDockerArchive(path, scratch, signal)).rejects.toMatchObject({
			hint: expect.stringContaining('oci-archive:') as string,
		});
	});

	test('in which 500 names lead to one large member reads it once, and stops when it is told to', async () => {
		const large = gzipSync(Buffer.alloc(1024), { level: 0 });
		const member = Buffer.concat([large, Buffer.alloc(9_000_000, 'x')]);
		const names = Array.from({ length: 500 }, (_, index) => `${index}.tar`);
		const digest = `sha256:${'0'.repeat(64)}`;
		const many = JSON.stringify({
			...(JSON.parse(config) as object),
			rootfs: { type: 'layers', diff_ids: names.map(() => digest) },
		});
		const path = await archive(
			['manifest.json', list(names)],
			['config.json', many],
			['0.tar', member],
			...names.slice(1).map((name): Entry => [name, { to: '0.tar' }]),
		);
		const source = await openDockerArchive(path, scratch, signal);
		const began = Date.now();
		const { value } = await source.manifest('', signal);
		expect(new Set((value as Manifest).layers.map((each) => each.digest)).size).toBe(1);
		expect(Date.now() - began).toBeLessThan(5000);
		await expect(source.manifest('', AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
	});

	test('whose names are links of both kinds to one layer gives it for each', async () => {
		const tar = pack();
		tar.entry({ name: 'a/layer.tar' }, layer);
		tar.entry({ name: 'b/layer.tar', type: 'link', linkname: './a/layer.tar' });
		tar.entry({ name: 'manifest.json' }, list(['b/layer.tar']));
		tar.entry({ name: 'config.json' }, config);
		tar.finalize();
		const path = join(root, 'links.tar');
		await appendFile(path, await readBytes(tar as AsyncIterable<Uint8Array>, 10_000_000, 'the tar'));
		expect(Buffer.from((await layerOf(path)).bytes).toString()).toBe('a plain layer');
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
		await expect(openDockerArchive(path, scratch, signal)).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
		await expect(openDockerArchive(join(root, 'none'), scratch, signal)).rejects.toMatchObject({
			code: 'IMAGE_INVALID',
		});
	});
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { readBytes } from '../../../src/content/verify.js';
import type { Engine } from '../../../src/engine/engine.js';
import { openEngineSource } from '../../../src/engine/engine-source.js';
import { loadArchive, nameInStore } from '../../../src/engine/engine-target.js';
import { digestOf } from '../../../src/oci/digest.js';
import { layerMediaType } from '../../../src/oci/media-types.js';
import { type ArchiveFile, packArchive } from '../../../src/tar/archive.js';
import { jsonBytes, testImage } from '../../support/images.js';

const signal = AbortSignal.timeout(10_000);
const bytes = (name: string, content: Uint8Array): ArchiveFile => ({
	name,
	size: content.length,
	open: () => Promise.resolve(Readable.from([content], { objectMode: false })),
});

const layers = [Buffer.alloc(2048, 1), Buffer.alloc(4096, 2)] as const;
const diffIds = layers.map(digestOf);
const config = jsonBytes({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: diffIds } });

/** What an engine saves, in the order of `names`. */
function saved(names: readonly string[], files: readonly Uint8Array[] = layers): readonly ArchiveFile[] {
	const at = (index: number) => `${diffIds[index]?.slice(7) ?? ''}.tar`;
	const all = new Map([
		['manifest.json', jsonBytes([{ Config: 'c.json', RepoTags: null, Layers: [at(0), at(1)] }])],
		['c.json', config],
		...files.map((content, index): [string, Uint8Array] => [at(index), content]),
	]);
	return names.flatMap((name) => {
		const [key, content] = [...all].find(([each]) => each.startsWith(name)) ?? [];
		return key === undefined || content === undefined ? [] : [bytes(key, content)];
	});
}

async function source(files: readonly ArchiveFile[], present: readonly string[] = []) {
	const scratch = await mkdtemp(join(tmpdir(), 's2oci-engine-'));
	onTestFinished(() => rm(scratch, { recursive: true }));
	let count = 0;
	const inspect = () => Promise.resolve({ id: 'a'.repeat(64), diffIds, isOci: true });
	const engine: Engine = {
		type: 'podman',
		name: 'podman',
		find: inspect,
		inspect,
		save: () => {
			count += 1;
			return Promise.resolve(packArchive(files, signal));
		},
		load: () => Promise.reject(new Error('nothing is loaded here')),
		remove: () => Promise.reject(new Error('nothing is removed here')),
	};
	const reading = {
		present: () => Promise.resolve(new Set(present)),
		scratch: () => mkdtemp(join(scratch, 'layers-')),
	};
	return { opened: openEngineSource(engine, 'x', reading), saves: () => count, scratch };
}

const [first, second] = diffIds.map((diffId) => diffId.slice(7)) as [string, string];

test.each([
	['first', ['manifest.json', 'c.json', first, second]],
	['last', [second, first, 'c.json', 'manifest.json']],
])('an image whose list comes %s is read in one pass, layer by layer', async (_where, names) => {
	const { opened, saves } = await source(saved(names));
	const manifest = await opened.manifest('', signal);
	expect(manifest.value.layers.map(({ digest }) => digest)).toEqual(diffIds);
	for (const [index, blob] of manifest.value.layers.entries()) {
		expect(await readBytes(await opened.open(blob, signal), 10_000, 'it')).toEqual(layers[index]);
	}
	expect(await readBytes(await opened.open(manifest.value.config, signal), 10_000, 'it')).toEqual(Buffer.from(config));
	expect(saves()).toBe(1);
});

test('a layer that is present takes no space, and is saved again for whoever wants it all the same', async () => {
	const { opened, saves, scratch } = await source(saved(['manifest.json', 'c.json', first, second]), [
		diffIds[0] ?? '',
	]);
	const manifest = await opened.manifest('', signal);
	const [directory = ''] = await readdir(scratch);
	expect(await readdir(join(scratch, directory))).toEqual([`${second}.tar`]);
	const [blob] = manifest.value.layers;
	if (blob === undefined) throw new Error('it has no layer');
	expect(await readBytes(await opened.open(blob, signal), 10_000, 'it')).toEqual(layers[0]);
	expect(saves()).toBe(2);
});

test('a compressed layer is known by the digest of its own bytes', async () => {
	const packed = gzipSync(layers[0]);
	const { opened } = await source(saved(['manifest.json', 'c.json', first, second], [packed, layers[1]]));
	const manifest = await opened.manifest('', signal);
	expect(manifest.value.layers[0]).toEqual({
		mediaType: layerMediaType('oci', 'gzip'),
		digest: digestOf(packed),
		size: packed.length,
	});
});

test.each([
	['without its list', saved(['c.json', first, second])],
	['without a layer', saved(['manifest.json', 'c.json', first])],
	['without its config', saved(['manifest.json', first, second])],
	['with a list that is none', [bytes('manifest.json', jsonBytes({ a: 1 }))]],
])('an archive %s is IMAGE_INVALID', async (_what, files) => {
	const { opened } = await source(files);
	await expect(opened.manifest('', signal)).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
});

test('what makes an archive an image comes last in it, and shared layers are left out', () => {
	const { image } = testImage({ layers: [Buffer.from('one'), Buffer.from('two')] });
	const [, two] = image.manifest.value.layers;
	const open = () => Promise.resolve(Readable.from([]));
	const { config: own } = image.manifest.value;
	const blobs = new Map([own, ...(two === undefined ? [] : [two])].map(({ digest }) => [digest, open]));
	const names = (engine: 'podman' | 'docker-daemon') =>
		loadArchive(engine, image.manifest, 'app:1', blobs).map(({ name }) => name);
	expect(names('podman')).toHaveLength(5);
	expect(names('podman').at(-1)).toBe('index.json');
	expect(names('docker-daemon')).toHaveLength(3);
	expect(names('docker-daemon').at(-1)).toBe('manifest.json');
});

test.each([
	['app', 'localhost/app:latest', 'app:latest'],
	['team/app:1', 'localhost/team/app:1', 'team/app:1'],
	['reg.example:5000/app', 'reg.example:5000/app:latest', 'reg.example:5000/app:latest'],
	['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
])('%s is stored under the name by which it is found', (name, podman, docker) => {
	expect(nameInStore({ type: 'podman' }, name)).toBe(podman);
	expect(nameInStore({ type: 'docker-daemon' }, name)).toBe(docker);
});

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ImageLocation, parseImageLocation } from '../../../src/content/location.js';
import { readBytes } from '../../../src/content/verify.js';
import { digestOf } from '../../../src/oci/digest.js';
import type { Image } from '../../../src/oci/image.js';
import { type ImageAccess, openImageSource, openImageTarget } from '../../../src/pipeline/images/open-image.js';
import { resolveImage } from '../../../src/pipeline/images/resolve-image.js';
import { openRegistries } from '../../../src/registry/registries.js';
import { lacking } from '../../support/fs.js';
import { NO_ENGINE, type TestImage, testImage, writeImage } from '../../support/images.js';
import { skipFor } from '../../support/needs.js';

const signal = AbortSignal.timeout(60_000);
const platform = { os: 'linux', architecture: 'amd64' };
const registries = openRegistries({ env: {}, insecureRegistries: [], caBundle: undefined, userAgent: 's2oci/test' });
let root: string;
let access: ImageAccess;
let sample: TestImage;

beforeAll(async () => {
	root = await mkdtemp(join(tmpdir(), 's2oci-skopeo-'));
	access = { ...NO_ENGINE, registry: registries.open, scratch: () => mkdtemp(join(root, 'scratch-')) };
	sample = testImage({
		layers: [await layer('hello', 'world'), await layer('second', 'layer')],
		config: { config: { User: '1001' } },
	});
});

afterAll(() => rm(root, { recursive: true, force: true }));

async function layer(name: string, content: string): Promise<Uint8Array> {
	const tar = pack();
	tar.entry({ name, mtime: new Date(0) }, content);
	tar.finalize();
	return readBytes(tar as AsyncIterable<Uint8Array>, 1_000_000, 'the tar');
}

async function write(image: TestImage, location: ImageLocation): Promise<void> {
	const { target, tag } = await openImageTarget(location, access, signal);
	await writeImage(image, target, tag, signal);
}

async function read(text: string): Promise<Image> {
	const opened = await openImageSource(parseImageLocation(text), access, signal);
	const image = await resolveImage(opened, platform, signal);
	for (const { blob } of image.layers) {
		const bytes = await readBytes(await opened.source.open(blob, signal), blob.size, 'a layer');
		expect(digestOf(bytes)).toBe(blob.digest);
	}
	return image;
}

function skopeo(...args: string[]): string {
	return execFileSync('skopeo', ['--insecure-policy', '--tmpdir', root, ...args], {
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'pipe'],
	});
}

async function fileDigest(path: string): Promise<string> {
	const hash = createHash('sha256');
	for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) hash.update(chunk);
	return hash.digest('hex');
}

describe('against skopeo', () => {
	beforeEach((context) => skipFor(context, lacking('skopeo')));

	test.each(['oci:LAYOUT:v1', 'oci-archive:oci.tar:v1', 'docker-archive:docker.tar:example.com/team/app:v1'])(
		'skopeo and s2oci read what s2oci wrote to %s',
		async (text) => {
			const where = text.replace(/^([a-z-]+:)/, `$1${root}/`);
			await write(sample, parseImageLocation(where));
			const inspected = JSON.parse(skopeo('inspect', '--config', '--raw', where)) as { config: { User: string } };
			expect(inspected.config.User).toBe('1001');
			expect(skopeo('copy', where, `oci:${root}/copy-of-${text.split(':')[0] ?? ''}:x`)).toContain('Writing manifest');
			const image = await read(where);
			expect(image.config.descriptor.digest).toBe(sample.image.config.descriptor.digest);
			expect(image.layers.map(({ diffId }) => diffId)).toEqual(sample.image.layers.map(({ diffId }) => diffId));
		},
	);

	test.each(['oci', 'oci-archive', 'docker-archive'])('s2oci reads the %s that skopeo wrote', async (type) => {
		await write(sample, { type: 'oci', path: join(root, 'original'), ref: 'v1' });
		const where = `${type}:${root}/from-skopeo-${type}`;
		skopeo('copy', `oci:${root}/original:v1`, `${where}:example.com/app:v2`);
		const image = await read(where);
		expect(image.layers.map(({ diffId }) => diffId)).toEqual(sample.image.layers.map(({ diffId }) => diffId));
		expect((await read(`${where}:example.com/app:v2`)).config.value.config?.User).toBe('1001');
	});

	test.each(['oci-archive', 'docker-archive'])(
		'the same image gives the same %s, and an existing file is replaced',
		async (type) => {
			const where = parseImageLocation(`${type}:${root}/again.${type}:example.com/app:v1`);
			const path = join(root, `again.${type}`);
			await write(testImage(), where);
			const other = await fileDigest(path);
			await write(sample, where);
			const first = await fileDigest(path);
			await write(sample, where);
			expect(await fileDigest(path)).toBe(first);
			expect(first).not.toBe(other);
		},
	);

	test('a second image of another name is added to a layout, one of the same name replaces the first', async () => {
		const path = join(root, 'several');
		await write(sample, { type: 'oci', path, ref: 'a' });
		await write(testImage(), { type: 'oci', path, ref: 'b' });
		await write(testImage({ layers: [Buffer.from('newer')] }), { type: 'oci', path, ref: 'b' });
		const index = JSON.parse(await readFile(join(path, 'index.json'), 'utf8')) as { manifests: unknown[] };
		expect(index.manifests).toHaveLength(2);
		expect((await read(`oci:${path}:b`)).layers[0]?.diffId).toBe(digestOf(Buffer.from('newer')));
		await expect(read(`oci:${path}`)).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
		await expect(read(`oci:${path}:c`)).rejects.toMatchObject({ hint: expect.stringContaining('"a","b"') as string });
	});
});

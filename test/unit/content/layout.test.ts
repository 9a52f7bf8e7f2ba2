import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLayout } from '../../../src/content/layout.js';
import { blobPath } from '../../../src/content/layout-source.js';
import { descriptorOf, testImage, writeImage } from '../../support/images.js';

const { signal } = new AbortController();
let root: string;
let layout: string;

beforeEach(async () => {
	root = await mkdtemp(join(tmpdir(), 's2oci-layout-'));
	layout = join(root, 'layout');
});

afterEach(() => rm(root, { recursive: true, force: true }));

function content(bytes: Uint8Array): () => Promise<Readable> {
	return () => Promise.resolve(Readable.from([bytes], { objectMode: false }));
}

describe('an OCI layout', () => {
	test('gives back the image that was written, and holds no temporary files', async () => {
		const sample = testImage();
		await writeImage(sample, openLayout(layout), 'v1', signal);
		const manifest = await openLayout(layout).manifest('v1', signal);
		expect(manifest.descriptor).toEqual(sample.image.manifest.descriptor);
		expect((await readdir(layout)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
		expect(await readdir(join(layout, 'blobs/sha256'))).toHaveLength(3);
	});

	test('never shows a blob whose content did not match', async () => {
		const blob = descriptorOf(Buffer.from('right'));
		const failure = openLayout(layout).put(blob, content(Buffer.from('wrong')), signal);
		await expect(failure).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
		expect(await openLayout(layout).has(blob, signal)).toBe(false);
		expect((await readdir(layout)).sort()).toEqual(['blobs']);
	});

	test('refuses a damaged blob when it is read', async () => {
		const sample = testImage();
		await writeImage(sample, openLayout(layout), 'v1', signal);
		const { config } = sample.image.manifest.value;
		await writeFile(join(layout, blobPath(config.digest)), Buffer.alloc(config.size, 'x'));
		const stream = await openLayout(layout).open(config, signal);
		await expect(stream.toArray()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
	});

	test('does not write through a symbolic link that leads out of it', async () => {
		const outside = join(root, 'outside');
		await mkdir(outside);
		await mkdir(layout);
		await symlink(outside, join(layout, 'blobs'));
		const bytes = Buffer.from('content');
		const failure = openLayout(layout).put(descriptorOf(bytes), content(bytes), signal);
		await expect(failure).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
		expect(await readdir(outside)).toEqual([]);
	});

	test('names what is missing', async () => {
		await expect(openLayout(layout).manifest('v1', signal)).rejects.toMatchObject({
			code: 'IMAGE_INVALID',
			message: expect.stringContaining('index.json') as string,
		});
	});

	test('says where it cannot write', async () => {
		await writeFile(layout, 'a file, not a directory');
		const bytes = Buffer.from('content');
		await expect(openLayout(layout).put(descriptorOf(bytes), content(bytes), signal)).rejects.toMatchObject({
			code: 'OUTPUT_FAILED',
			message: expect.stringContaining(layout) as string,
		});
	});
});

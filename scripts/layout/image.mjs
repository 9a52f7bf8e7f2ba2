// Writes an OCI image layout (image-spec, image-layout.md) from layers given as streams of tar bytes.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** When everything in the images was made: a constant, so that the same input gives the same bytes. */
export const CREATED = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 1735689600) * 1000);

/** Writes the image `{ config, layers: [{ comment, tar }] }` as `DIR:latest`, layers in parallel; returns its digest. */
export async function writeImage(directory, { config, layers }) {
	await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true });
	const written = await Promise.all(layers.map(({ tar }, index) => writeLayer(directory, index, tar)));
	const created = `${CREATED.toISOString().slice(0, 19)}Z`;
	const document = {
		created,
		architecture: process.arch === 'x64' ? 'amd64' : process.arch,
		os: 'linux',
		config,
		rootfs: { type: 'layers', diff_ids: written.map(({ diffId }) => diffId) },
		history: layers.map(({ comment }) => ({ created, created_by: comment })),
	};
	const manifest = await writeDocument(directory, MANIFEST, {
		schemaVersion: 2,
		mediaType: MANIFEST,
		config: await writeDocument(directory, CONFIG, document),
		layers: written.map(({ descriptor }) => descriptor),
	});
	await writeIndex(directory, manifest);
	return manifest.digest;
}

async function writeLayer(directory, index, tar) {
	const partial = join(directory, `layer-${index}.partial`);
	const unpacked = createHash('sha256');
	const packed = createHash('sha256');
	await pipeline(Readable.from(tar), tee(unpacked), createGzip({ level: 6 }), tee(packed), createWriteStream(partial));
	const digest = packed.digest('hex');
	const { size } = await stat(partial);
	await rename(partial, blobPath(directory, digest));
	const descriptor = { mediaType: LAYER, digest: `sha256:${digest}`, size };
	return { descriptor, diffId: `sha256:${unpacked.digest('hex')}` };
}

async function writeDocument(directory, mediaType, value) {
	const bytes = Buffer.from(JSON.stringify(value));
	const digest = createHash('sha256').update(bytes).digest('hex');
	await writeFile(blobPath(directory, digest), bytes);
	return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
}

async function writeIndex(directory, manifest) {
	const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
	const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
	await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
	await writeFile(join(directory, 'index.json'), JSON.stringify(index));
}

const blobPath = (directory, hex) => join(directory, 'blobs', 'sha256', hex);

const tee = (hash) =>
	new Transform({
		transform(chunk, _encoding, done) {
			hash.update(chunk);
			done(null, chunk);
		},
	});

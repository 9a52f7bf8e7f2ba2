// Writes an image of s2oci into an OCI layout.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { openLayout } from '../../dist/content/layout.js';
import { parseImageLocation } from '../../dist/content/location.js';
import { finishDigest } from '../../dist/oci/digest.js';
import { document } from '../../dist/oci/image.js';
import { configMediaType, layerMediaType, OCI_MANIFEST } from '../../dist/oci/media-types.js';
import { hostPlatform } from '../../dist/oci/platform.js';
import { createGzipWriter } from '../../dist/tar/gzip.js';
import { EPOCH } from './layer.mjs';

const CREATED = `${new Date(EPOCH * 1000).toISOString().slice(0, 19)}Z`;
const PROGRAM = fileURLToPath(new URL('../../bin/s2oci.js', import.meta.url));
const signal = new AbortController().signal;

/** Writes the image `{ title, description, config, layers: [{ comment, tar }] }` to `place`, as `oci:DIR[:REF]`; prints its name and digest. */
export async function writeImage(place, { title, description, config, layers }) {
	const { path, ref = 'latest' } = parseImageLocation(place);
	const layout = openLayout(path);
	const scratch = mkdtempSync(join(tmpdir(), 's2oci-image-'));
	try {
		const packed = [];
		for (const [index, { tar }] of layers.entries()) {
			const layer = await packLayer(join(scratch, String(index)), tar);
			await layout.put(layer.blob, () => Promise.resolve(createReadStream(layer.path)), signal);
			packed.push(layer);
		}
		const labels = labelsOf(title, description);
		const image = describe({ ...config, Labels: labels }, labels, layers, packed);
		const { descriptor, bytes } = image.config;
		await layout.put(descriptor, () => Promise.resolve(Readable.from([bytes])), signal);
		await layout.putManifest(image.manifest, ref, signal);
		process.stdout.write(`oci:${path}:${ref}@${image.manifest.descriptor.digest}\n`);
	} finally {
		rmSync(scratch, { recursive: true });
	}
}

/** Compresses a tar into the file `path`. */
async function packLayer(path, tar) {
	const [blob, unpacked] = [createHash('sha256'), createHash('sha256')];
	const output = openSync(path, 'wx');
	let size = 0;
	const gzip = createGzipWriter((chunk) => {
		blob.update(chunk);
		size += chunk.length;
		for (let at = 0; at < chunk.length; ) at += writeSync(output, chunk, at);
	});
	for await (const piece of tar) {
		unpacked.update(piece);
		await gzip.write(piece);
	}
	await gzip.end();
	closeSync(output);
	const mediaType = layerMediaType('oci', 'gzip');
	return { path, blob: { mediaType, digest: finishDigest(blob), size }, diffId: finishDigest(unpacked) };
}

function describe(config, annotations, layers, packed) {
	const { os, architecture } = hostPlatform(process.arch);
	const value = {
		...{ created: CREATED, architecture, os, config },
		rootfs: { type: 'layers', diff_ids: packed.map(({ diffId }) => diffId) },
		history: layers.map(({ comment }) => ({ created: CREATED, created_by: comment })),
	};
	const written = document(value, configMediaType('oci'));
	const blobs = packed.map(({ blob }) => blob);
	const manifest = {
		schemaVersion: 2,
		mediaType: OCI_MANIFEST,
		config: written.descriptor,
		layers: blobs,
		annotations,
	};
	return { config: written, manifest: document(manifest, OCI_MANIFEST) };
}

/** image-spec v1.1, annotations.md. */
function labelsOf(title, description) {
	const said = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
	const { commit } = JSON.parse(
		spawnSync(process.execPath, [PROGRAM, 'version', '--json'], { encoding: 'utf8' }).stdout,
	);
	const labels = {
		...{ created: CREATED, title, description, version: said.version, revision: commit, licenses: said.license },
	};
	return Object.fromEntries(Object.entries(labels).map(([name, value]) => [`org.opencontainers.image.${name}`, value]));
}

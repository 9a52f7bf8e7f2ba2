import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { Descriptor } from '../../src/oci/descriptor.js';
import { digestOf } from '../../src/oci/digest.js';
import type { ImageConfig } from '../../src/oci/image.js';
import { configMediaType, DOCKER_MANIFEST, type MediaFamily, OCI_MANIFEST } from '../../src/oci/media-types.js';
import { removeTree } from './fs.js';

import { jsonBytes } from './images.js';
import { type Faults, startRegistry, type TestRegistry } from './registry.js';

/** The files of the tiny application. */
export const TINY_APP: string = fileURLToPath(new URL('../../testdata/apps/tiny', import.meta.url));

/** Whether there is a warning besides the one of the link that the tiny application has. */
export function warns(stderr: string): boolean {
	return /warning: (?!links inside the source)/i.test(stderr);
}

/** A builder image as its parts: uncompressed layer tars, lowest first, and its config. */
export interface BuilderParts {
	readonly tars: readonly Uint8Array[];
	readonly config: Partial<ImageConfig> & Readonly<Record<string, unknown>>;
}

/** An image as bytes: its manifest, and its blobs by digest. */
export interface EncodedImage {
	readonly mediaType: string;
	readonly manifest: Uint8Array;
	readonly blobs: ReadonlyMap<string, Uint8Array>;
}

let made: string | undefined;

/** The busybox builder image as an OCI layout, tag `latest`; made once for each test file. */
export function tinyLayout(): string {
	if (made !== undefined) return made;
	made = mkdtempSync(join(tmpdir(), 's2oci-tiny-'));
	const path = made;
	execFileSync('chmod', ['755', path]);
	execFileSync(fileURLToPath(new URL('../../scripts/make-builder', import.meta.url)), ['--tiny', path], {
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	return path;
}

/** Makes the tiny builder before the first test of a file, so that no test is timed with it; removes it after the last. */
export function withTinyBuilder(): void {
	beforeAll(() => void tinyLayout());
	afterAll(() => {
		if (made !== undefined) removeTree(made);
		made = undefined;
	});
}

/** The tiny builder, taken apart. */
export function tinyParts(): BuilderParts {
	const { manifest, blobs } = readLayout(tinyLayout());
	const { layers, config } = JSON.parse(Buffer.from(manifest).toString()) as {
		readonly layers: readonly Descriptor[];
		readonly config: Descriptor;
	};
	return {
		tars: layers.map(({ digest }) => gunzipSync(blobs.get(digest) ?? new Uint8Array())),
		config: JSON.parse(Buffer.from(blobs.get(config.digest) ?? []).toString()) as BuilderParts['config'],
	};
}

/** Puts parts together again, each layer as `encode` makes it. */
export function encodeImage(
	{ tars, config }: BuilderParts,
	encode: (tar: Uint8Array) => { readonly mediaType: string; readonly bytes: Uint8Array },
	family: MediaFamily = 'oci',
): EncodedImage {
	const blobs = new Map<string, Uint8Array>();
	const add = (bytes: Uint8Array, mediaType: string): Descriptor => {
		const digest = digestOf(bytes);
		blobs.set(digest, bytes);
		return { mediaType, digest, size: bytes.length };
	};
	const layers = tars.map((tar) => {
		const { mediaType, bytes } = encode(tar);
		return add(bytes, mediaType);
	});
	const history = tars.map((_, index) => ({ created: '2025-01-01T00:00:00Z', created_by: `layer ${index}` }));
	const configBytes = jsonBytes({ ...config, history, rootfs: { type: 'layers', diff_ids: tars.map(digestOf) } });
	const mediaType = family === 'docker' ? DOCKER_MANIFEST : OCI_MANIFEST;
	const manifest = jsonBytes({
		schemaVersion: 2,
		mediaType,
		config: add(configBytes, configMediaType(family)),
		layers,
	});
	return { mediaType, manifest, blobs };
}

/** Puts an image into a registry behind its back. */
export function publish(
	registry: TestRegistry,
	image: EncodedImage,
	repository = 'builders/tiny',
	tag = 'latest',
): void {
	for (const [digest, bytes] of image.blobs) registry.blobs.set(`${repository}@${digest}`, bytes);
	const stored = { mediaType: image.mediaType, bytes: image.manifest };
	registry.manifests.set(`${repository}:${tag}`, stored);
	registry.manifests.set(`${repository}@${digestOf(image.manifest)}`, stored);
}

/** A registry that has the tiny builder as `builders/tiny:latest`; closed after the test. */
export async function tinyRegistry(faults: Faults = {}): Promise<TestRegistry> {
	const registry = await emptyRegistry(faults);
	publish(registry, readLayout(tinyLayout()));
	return registry;
}

/** A registry that has nothing; closed after the test. */
export async function emptyRegistry(faults: Faults = {}): Promise<TestRegistry> {
	const registry = await startRegistry(faults);
	onTestFinished(() => registry.close());
	return registry;
}

/** A directory with `files`, scripts of `.s2i/bin` executable, all with one old time; removed after the test. */
export function makeSource(files: Readonly<Record<string, string>>): string {
	const root = mkdtempSync(join(tmpdir(), 's2oci-source-'));
	onTestFinished(() => removeTree(root));
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), text, { mode: path.includes('/bin/') ? 0o755 : 0o644 });
	}
	execFileSync('chmod', ['-R', 'a+rX', root]);
	execFileSync('find', [root, '-exec', 'touch', '-h', '-d', '@1750000000', '{}', '+']);
	return root;
}

/** A source whose assemble is `script`, run by the builder's /bin/sh. */
export function assembleSource(script: string, files: Readonly<Record<string, string>> = {}): string {
	return makeSource({ '.s2i/bin/assemble': `#!/bin/sh\nset -eu\n${script}\n`, 'greeting.txt': 'hello\n', ...files });
}

/** The image tagged `latest` in an OCI layout, every blob of it. */
export function readLayout(path: string, tag?: string): EncodedImage {
	const read = (digest: string) => readFileSync(join(path, 'blobs', digest.replace(':', '/')));
	const index = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8')) as { readonly manifests: Descriptor[] };
	const found = index.manifests.find(
		({ annotations }) => tag === undefined || annotations?.['org.opencontainers.image.ref.name'] === tag,
	);
	if (found === undefined) throw new Error(`${path} has no image ${String(tag)}`);
	const manifest = read(found.digest);
	const { config, layers } = JSON.parse(manifest.toString()) as { config: Descriptor; layers: Descriptor[] };
	const blobs = new Map([config, ...layers].map(({ digest }) => [digest as string, read(digest) as Uint8Array]));
	return { mediaType: found.mediaType, manifest, blobs };
}

import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import type { Descriptor } from '../../src/oci/descriptor.js';
import type { TestRegistry } from './registry.js';
import type { EncodedImage } from './tiny.js';

/** A manifest as JSON. */
export interface ManifestJson {
	readonly mediaType: string;
	readonly config: Descriptor;
	readonly layers: readonly Descriptor[];
	readonly annotations?: Readonly<Record<string, string>>;
}

/** An image configuration as JSON. */
export interface ConfigJson {
	readonly created?: string;
	readonly config: {
		readonly User?: string;
		readonly Cmd?: readonly string[];
		readonly Entrypoint?: readonly string[];
		readonly Env: readonly string[];
		readonly Labels: Readonly<Record<string, string>>;
		readonly WorkingDir?: string;
	};
	readonly history: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
	readonly rootfs: { readonly diff_ids: readonly string[] };
}

/** One entry of a layer. */
export interface LayerEntry {
	readonly header: Header;
	readonly content: string;
}

/** A built image, read back without any code of ours. */
export interface BuiltImage {
	readonly manifest: ManifestJson;
	readonly config: ConfigJson;
	/** The entries of the last layer by name, directories without their slash. */
	readonly entries: ReadonlyMap<string, LayerEntry>;
}

/** Reads the image `repository:tag` that a registry was given. */
export function pulled(registry: TestRegistry, repository: string, tag = 'latest'): Promise<BuiltImage> {
	const stored = registry.manifests.get(`${repository}:${tag}`);
	if (stored === undefined) throw new Error(`the registry has no ${repository}:${tag}`);
	return readImage(stored.bytes, (digest) => registry.blobs.get(`${repository}@${digest}`));
}

/** Reads an encoded image. */
export function decoded({ manifest, blobs }: EncodedImage): Promise<BuiltImage> {
	return readImage(manifest, (digest) => blobs.get(digest));
}

async function readImage(bytes: Uint8Array, blob: (digest: string) => Uint8Array | undefined): Promise<BuiltImage> {
	const manifest = JSON.parse(Buffer.from(bytes).toString()) as ManifestJson;
	const read = (descriptor: Descriptor | undefined): Uint8Array => {
		const found = descriptor === undefined ? undefined : blob(descriptor.digest);
		if (found === undefined) throw new Error(`there is no blob ${String(descriptor?.digest)}`);
		return found;
	};
	const config = JSON.parse(Buffer.from(read(manifest.config)).toString()) as ConfigJson;
	return { manifest, config, entries: await readTar(gunzipSync(read(manifest.layers.at(-1)))) };
}

/** The entries of a tar by name. */
export async function readTar(tar: Uint8Array): Promise<ReadonlyMap<string, LayerEntry>> {
	const entries = new Map<string, LayerEntry>();
	const extractor = extract();
	Readable.from([tar], { objectMode: false }).pipe(extractor);
	for await (const entry of extractor) {
		const chunks: Buffer[] = [];
		for await (const chunk of entry) chunks.push(chunk as Buffer);
		const name = entry.header.name.replace(/^\.?\//, '').replace(/\/$/, '');
		entries.set(name, { header: entry.header, content: Buffer.concat(chunks).toString() });
	}
	return entries;
}

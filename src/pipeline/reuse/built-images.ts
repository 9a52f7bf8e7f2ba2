import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { makePath } from '../../make-path.js';
import type { Document } from '../../oci/descriptor.js';
import { type Digest, hexOf, isDigest } from '../../oci/digest.js';
import { type Image, imageFrom, type Manifest } from '../../oci/image.js';
import { isIndex, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, parseConfig, parseManifest } from '../../oci/manifest.js';
import { readOwnFile } from '../../own-file.js';
import { writeByRename } from '../../whole-file.js';
import { removeOldest } from '../images/built-here.js';

const DIRECTORY = 'reuse';
/** The oldest go first. */
const MAX_RECORDS = 500;
const MAX_BYTES = Math.ceil(((MAX_MANIFEST_BYTES + MAX_CONFIG_BYTES) * 4) / 3) + 4096;

const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
const schema = v.object({
	format: v.literal(3),
	builder: digest,
	source: v.string(),
	key: digest,
	manifest: v.object({ mediaType: v.string(), digest, content: v.string() }),
	config: v.string(),
});

/** Which image was made of `key` on the builder image `builder`. */
export interface BuiltKey {
	/** Manifest digest. */
	readonly builder: Digest;
	/** Of what the source holds, in hexadecimal. */
	readonly source: string;
	readonly key: Digest;
}

/** Whether `store` knows of any image on this builder: without one, nobody needs to wait for a key. */
export async function hasBuilt(store: string, builder: Digest): Promise<boolean> {
	return (await listRecords(store)).some((name) => name.startsWith(`${shortened(hexOf(builder))}-`));
}

/** Whether `store` knows of any image of this source. */
export async function hasBuiltSource(store: string, source: string): Promise<boolean> {
	return (await listRecords(store)).some((name) => name.includes(`-${shortened(source)}-`));
}

function listRecords(store: string): Promise<readonly string[]> {
	return readdir(join(store, DIRECTORY)).catch(() => []);
}

/** The image that {@link recordBuiltImage} was told of, by this user; undefined when there is none that can be trusted. */
export async function readBuiltImage(store: string, built: BuiltKey): Promise<Image | undefined> {
	try {
		const { manifest, config, ...of } = v.parse(
			schema,
			JSON.parse(await readOwnFile(join(store, DIRECTORY, nameOf(built)), MAX_BYTES)),
		);
		if (of.builder !== built.builder || of.source !== built.source || of.key !== built.key) return undefined;
		const what = 'a recorded image';
		const { digest: named, mediaType, content } = manifest;
		const document = parseManifest(Buffer.from(content, 'base64'), { digest: named, mediaType }, what);
		if (isIndex(document)) return undefined;
		const found = document as Document<Manifest>;
		return imageFrom(found, parseConfig(Buffer.from(config, 'base64'), found.value, what));
	} catch {
		return undefined;
	}
}

/** Remembers in `store` what this user built. A record that cannot be written costs one build, which is no reason to fail. */
export async function recordBuiltImage(store: string, built: BuiltKey, { manifest, config }: Image): Promise<void> {
	const directory = join(store, DIRECTORY);
	const { mediaType, digest: named } = manifest.descriptor;
	const record = {
		format: 3,
		...built,
		manifest: { mediaType, digest: named, content: base64(manifest.bytes) },
		config: base64(config.bytes),
	};
	try {
		makePath(directory, 0o700);
		await writeByRename(directory, nameOf(built), JSON.stringify(record), { mode: 0o600 });
		await removeOldest(directory, MAX_RECORDS);
	} catch {
		// Then it is built again.
	}
}

function shortened(hex: string): string {
	return hex.slice(0, 16);
}

function nameOf({ builder, source, key }: BuiltKey): string {
	return `${shortened(hexOf(builder))}-${shortened(source)}-${hexOf(key)}.json`;
}

function base64(bytes: Uint8Array): string {
	return Buffer.from(bytes).toString('base64');
}

import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import * as v from 'valibot';
import { makePath } from '../../make-path.js';
import type { Document } from '../../oci/descriptor.js';
import { type Digest, isDigest } from '../../oci/digest.js';
import { type Image, imageFrom, type Manifest } from '../../oci/image.js';
import { isIndex, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, parseConfig, parseManifest } from '../../oci/manifest.js';
import { readOwnFile } from '../../own-file.js';
import type { PrunePolicy } from '../../protocol/worker-calls.js';
import { writeByRename } from '../../whole-file.js';

const DIRECTORY = 'unpushed';
const RECORD = 'push.json';
const LAYER = 'layer';
/** Each may be large; the oldest go first. */
const MAX_KEPT = 10;
const MAX_BYTES = Math.ceil(((MAX_MANIFEST_BYTES + MAX_CONFIG_BYTES) * 4) / 3) + 2 ** 20;

const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
/** `tagged` is false for what is pushed by digest. */
const target = v.object({ image: v.string(), tagged: v.boolean() });
const schema = v.object({
	format: v.literal(1),
	targets: v.pipe(v.array(target), v.minLength(1), v.maxLength(1000)),
	/** Where the layers below the new one come from. */
	base: v.string(),
	manifest: v.object({ mediaType: v.string(), digest, content: v.string() }),
	config: v.string(),
});
type Kept = v.InferOutput<typeof schema>;

/** An image that was built and not pushed: all but its layers below the last, and the file of that. */
export interface Unpushed extends Pick<Kept, 'targets' | 'base'> {
	readonly image: Image;
	readonly layerPath: string;
}

/**
 * Keeps `image` in `store`, whose last layer is moved there, for this user only; resolves with the path of the file that says so. Of those
 * that were kept before, the oldest make room. Rejects with what the file system says.
 */
export async function keepImage(
	store: string,
	{ image: { manifest, config }, layerPath, ...where }: Unpushed,
): Promise<string> {
	const directory = join(store, DIRECTORY);
	const own = join(directory, randomBytes(6).toString('hex'));
	makePath(directory, 0o700);
	await mkdir(own, { mode: 0o700 });
	const { mediaType, digest: named } = manifest.descriptor;
	const content = { mediaType, digest: named, content: base64(manifest.bytes) };
	const kept: Kept = { format: 1, ...where, manifest: content, config: base64(config.bytes) };
	try {
		await rename(layerPath, join(own, LAYER));
		await writeByRename(own, RECORD, JSON.stringify(kept), { mode: 0o600 });
	} catch (error) {
		await rm(own, { recursive: true, force: true });
		throw error;
	}
	const others = (await listKept(store)).filter(({ name }) => name !== basename(own));
	for (const { name } of others.slice(MAX_KEPT - 1)) await rm(join(directory, name), { recursive: true, force: true });
	return join(own, RECORD);
}

/** What the file `path`, from {@link keepImage}, says was kept, its manifest and config verified. Rejects when it says nothing that can be trusted. */
export async function readUnpushed(path: string): Promise<Unpushed> {
	const { targets, base, manifest, config } = v.parse(schema, JSON.parse(await readOwnFile(path, MAX_BYTES)));
	const what = 'the image that was kept';
	const { digest: named, mediaType, content } = manifest;
	const found = parseManifest(Buffer.from(content, 'base64'), { digest: named, mediaType }, what);
	if (isIndex(found)) throw new Error('it is an index');
	const document = found as Document<Manifest>;
	const image = imageFrom(document, parseConfig(Buffer.from(config, 'base64'), document.value, what));
	return { targets, base, image, layerPath: join(dirname(path), LAYER) };
}

/** The store that `path` is kept in; undefined when it is no file of {@link keepImage}. */
export function storeOf(path: string): string | undefined {
	const directory = dirname(dirname(path));
	return basename(path) === RECORD && basename(directory) === DIRECTORY ? dirname(directory) : undefined;
}

/** Removes what the file `path` says was kept, and the file. */
export async function forgetUnpushed(path: string): Promise<void> {
	await rm(dirname(path), { recursive: true, force: true });
}

/** Removes what was kept before the time that `policy` spares, or tells what would go; resolves with their names in the store. */
export async function pruneUnpushed(store: string, policy: PrunePolicy, dryRun: boolean): Promise<readonly string[]> {
	const { olderThanMs, keepBytes } = policy;
	if (olderThanMs === undefined && keepBytes !== undefined) return [];
	const old = (await listKept(store)).filter(({ time }) => Date.now() - time >= (olderThanMs ?? 0));
	const names = old.map(({ name }) => join(DIRECTORY, name));
	if (!dryRun) for (const name of names) await rm(join(store, name), { recursive: true, force: true });
	return names;
}

/** The newest first. */
async function listKept(store: string): Promise<readonly { readonly name: string; readonly time: number }[]> {
	const directory = join(store, DIRECTORY);
	const names = await readdir(directory).catch(() => []);
	const aged = names.map(async (name) => ({ name, time: (await lstat(join(directory, name))).mtimeMs }));
	return (await Promise.all(aged)).toSorted((a, b) => b.time - a.time);
}

function base64(bytes: Uint8Array): string {
	return Buffer.from(bytes).toString('base64');
}

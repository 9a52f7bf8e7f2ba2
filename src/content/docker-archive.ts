import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import * as v from 'valibot';
import { attempt, BuildError } from '../errors.js';
import { parseJson } from '../json.js';
import type { Descriptor, Document } from '../oci/descriptor.js';
import { type Digest, digestOf, finishDigest, hexOf } from '../oci/digest.js';
import type { Index, Manifest } from '../oci/image.js';
import { MAX_CONFIG_BYTES, parseConfig, parseManifest } from '../oci/manifest.js';
import type { LayerCompression } from '../oci/media-types.js';
import { DOCKER_CONFIG, DOCKER_MANIFEST, layerCompression, layerMediaType } from '../oci/media-types.js';
import { withoutNulls } from '../oci/nulls.js';
import { formatReference, parseReference } from '../oci/reference.js';
import type { ArchiveMember } from '../tar/archive.js';
import { SNIFFED } from '../tar/sniff.js';
import { type ArchiveMembers, openMembers, sniffArchive } from './archive-members.js';
import type { ImageSource, ImageTarget } from './blob.js';
import { openLayout } from './layout.js';
import { blobPath } from './layout-source.js';
import { archiveBytes, archiveFile, writeArchive } from './oci-archive.js';
import { readBytes, verifyStream } from './verify.js';

const MAX_LIST_BYTES = 4 * 1024 * 1024;
const listSchema = v.array(
	v.looseObject({
		Config: v.string(),
		RepoTags: v.optional(v.array(v.string())),
		Layers: v.optional(v.pipe(v.array(v.string()), v.maxLength(500)), []),
	}),
);
type ArchiveImage = v.InferOutput<typeof listSchema>[number];

/**
 * The `docker save` archive at `path`, compressed or not, as an image source; see {@link dockerArchiveSource} and {@link openMembers}.
 * Throws IMAGE_INVALID.
 */
export async function openDockerArchive(
	path: string,
	scratch: () => Promise<string>,
	signal: AbortSignal,
): Promise<ImageSource> {
	return dockerArchiveSource(await openMembers(path, scratch, signal), path);
}

/**
 * The `docker save` archive of `members` as an image source. It has no manifests, so one is made from its config and layers; plain layers
 * are verified against the diffIDs of the config. The reference is `name[:tag]`, `@index` (from 0, as skopeo counts), or `''` for the
 * only image. `path` names it in messages. Throws IMAGE_INVALID.
 */
export async function dockerArchiveSource(members: ArchiveMembers, path: string): Promise<ImageSource> {
	const images = await readList(members, path);
	const blobs = new Map<Digest, ArchiveMember>();
	return {
		manifest: async (reference, signal) => {
			const image = findImage(images, reference, path);
			return synthesize(members, image, { blobs, path, signal });
		},
		open: (blob) => {
			const member = blobs.get(blob.digest);
			if (member !== undefined)
				return Promise.resolve(verifyStream(members.open(member), blob, `${blob.digest} in ${path}`));
			return Promise.reject(invalid(path, `it does not hold ${blob.digest}`));
		},
	};
}

/**
 * An image target that gathers blobs in the directory `scratch` and, when the manifest is put, writes the `docker load` archive `path`;
 * an existing file is replaced. `tag` is a complete reference. Layers stay compressed. The same image gives the same bytes.
 */
export function createDockerArchive(path: string, scratch: string): ImageTarget {
	const layout = openLayout(scratch);
	return {
		...layout,
		putManifest: async ({ value }, tag, signal) => {
			const layers = value.layers.map((layer) => ({
				name: layerName(layer),
				path: join(scratch, blobPath(layer.digest)),
			}));
			const config = `${hexOf(value.config.digest)}.json`;
			const list = [
				{ Config: config, RepoTags: tag === undefined ? [] : [tag], Layers: layers.map(({ name }) => name) },
			];
			const unique = new Map(layers.map((layer) => [layer.name, layer.path]));
			const files = [
				archiveBytes('manifest.json', new TextEncoder().encode(JSON.stringify(list))),
				await archiveFile(config, join(scratch, blobPath(value.config.digest))),
				...(await Promise.all([...unique].map(([name, from]) => archiveFile(name, from)))),
			];
			await writeArchive(path, files, signal);
		},
	};
}

function layerName(layer: Descriptor): string {
	const extensions: Readonly<Record<LayerCompression, string>> = { none: 'tar', gzip: 'tar.gz', zstd: 'tar.zst' };
	return `${hexOf(layer.digest)}.${extensions[layerCompression(layer.mediaType)]}`;
}

async function readList(members: ArchiveMembers, path: string): Promise<readonly ArchiveImage[]> {
	if (members.find('manifest.json') === undefined && members.find('index.json') !== undefined) {
		throw new BuildError('IMAGE_INVALID', `${path} is no Docker archive but an OCI archive`, {
			hint: `Write oci-archive:${path}.`,
		});
	}
	const bytes = await members.read('manifest.json', MAX_LIST_BYTES);
	try {
		const value: unknown = parseJson(Buffer.from(bytes).toString('utf8'));
		const checked = v.safeParse(listSchema, withoutNulls(listSchema, value));
		if (checked.success) return checked.output;
	} catch (cause) {
		throw invalid(path, 'its manifest.json is not valid JSON', cause);
	}
	throw invalid(path, 'its manifest.json is not a list of images');
}

function findImage(images: readonly ArchiveImage[], reference: string, path: string): ArchiveImage {
	const tags = images.flatMap((image) => image.RepoTags ?? []);
	const names = JSON.stringify(tags.slice(0, 20)).slice(0, 500);
	const hint = `Append :NAME:TAG to the path, or :@0 for the first image. The names in it are ${names}.`;
	const [only] = images;
	const numbered = reference.startsWith('@') ? images[Number(reference.slice(1))] : undefined;
	if (numbered !== undefined) return numbered;
	if (reference === '' && images.length === 1 && only !== undefined) return only;
	if (reference === '')
		throw new BuildError('IMAGE_INVALID', `${path} holds ${images.length} images and none was named`, { hint });
	const found = images.find((image) => image.RepoTags?.some((tag) => isSameTag(tag, reference)));
	if (found !== undefined) return found;
	throw new BuildError('IMAGE_INVALID', `${path} holds no image named ${reference}`, { hint });
}

function isSameTag(tag: string, reference: string): boolean {
	const format = (name: string) => formatReference(parseReference(name));
	return attempt(() => format(tag) === format(reference)) === true;
}

interface Synthesis {
	/** Gets the member of each blob. */
	readonly blobs: Map<Digest, ArchiveMember>;
	readonly path: string;
	readonly signal: AbortSignal;
}

async function synthesize(
	members: ArchiveMembers,
	image: ArchiveImage,
	{ blobs, path, signal }: Synthesis,
): Promise<Document<Manifest | Index>> {
	const bytes = await members.read(image.Config, MAX_CONFIG_BYTES);
	const config: Descriptor = { mediaType: DOCKER_CONFIG, digest: digestOf(bytes), size: bytes.length };
	const placeholders = image.Layers.map(() => config);
	const draft: Manifest = { schemaVersion: 2, mediaType: DOCKER_MANIFEST, config, layers: placeholders };
	const diffIds = parseConfig(bytes, draft, path).value.rootfs.diff_ids;
	const layers: Descriptor[] = [];
	const described = new Map<number, Descriptor>();
	for (const [index, name] of image.Layers.entries()) {
		const member = members.find(name);
		const diffId = diffIds[index];
		if (member === undefined || diffId === undefined)
			throw invalid(path, `the layer ${JSON.stringify(name.slice(0, 100))} is missing`);
		// Many names may lead to one compressed member, which is read once.
		const layer = described.get(member.offset) ?? (await describeLayer(members, member, diffId, signal));
		if (layer.digest !== diffId) described.set(member.offset, layer);
		blobs.set(layer.digest, member);
		layers.push(layer);
	}
	const configMember = members.find(image.Config);
	if (configMember !== undefined) blobs.set(config.digest, configMember);
	const manifest = new TextEncoder().encode(JSON.stringify({ ...draft, layers }));
	return parseManifest(manifest, { mediaType: DOCKER_MANIFEST }, path);
}

async function describeLayer(
	members: ArchiveMembers,
	member: ArchiveMember,
	diffId: Digest,
	signal: AbortSignal,
): Promise<Descriptor> {
	const compression = await sniff(members.open({ ...member, size: Math.min(SNIFFED, member.size) }));
	const mediaType = layerMediaType('docker', compression);
	if (compression === 'none') return { mediaType, digest: diffId, size: member.size };
	const hash = createHash('sha256');
	for await (const chunk of members.open(member) as AsyncIterable<Uint8Array>) {
		signal.throwIfAborted();
		hash.update(chunk);
	}
	return { mediaType, digest: finishDigest(hash), size: member.size };
}

async function sniff(start: Readable): Promise<LayerCompression> {
	return sniffArchive(Buffer.from(await readBytes(start, SNIFFED, 'a layer')));
}

function invalid(path: string, why: string, cause?: unknown): BuildError {
	return new BuildError('IMAGE_INVALID', `${path} is not a Docker archive that can be used: ${why}`, {
		hint: 'Save the image again with docker save, podman save or skopeo copy.',
		cause,
	});
}

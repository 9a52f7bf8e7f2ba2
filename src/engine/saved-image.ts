import * as v from 'valibot';
import { BuildError } from '../errors.js';
import { parseJson } from '../json.js';
import type { Descriptor, Document } from '../oci/descriptor.js';
import { type Digest, digestOf } from '../oci/digest.js';
import type { Manifest } from '../oci/image.js';
import { parseConfig, parseManifest } from '../oci/manifest.js';
import {
	configMediaType,
	DOCKER_MANIFEST,
	layerMediaType,
	type MediaFamily,
	OCI_MANIFEST,
} from '../oci/media-types.js';
import type { FindSaved, SavedMember } from './saved-members.js';

/** An image that an engine saved: the manifest that engines do not keep, and where the bytes of its blobs are. */
export interface SavedImage {
	readonly manifest: Document<Manifest>;
	readonly blobs: ReadonlyMap<Digest, SavedMember>;
}

const list = v.array(v.looseObject({ Config: v.string(), Layers: v.pipe(v.array(v.string()), v.maxLength(500)) }));

/**
 * The only image of the archive in which `find` finds files (image-spec of Docker v1.2, "Combined Image JSON + Filesystem Changeset
 * Format"). The same content gives the same manifest; plain layers have the diffIDs of the config for digests. Throws IMAGE_INVALID.
 */
export function savedImage(find: FindSaved, family: MediaFamily, what: string): SavedImage {
	const { Config, Layers } = readList(find, what);
	const bytes = bytesOf(find(Config), what, Config);
	const config: Descriptor = { mediaType: configMediaType(family), digest: digestOf(bytes), size: bytes.length };
	const mediaType = family === 'oci' ? OCI_MANIFEST : DOCKER_MANIFEST;
	const draft: Manifest = { schemaVersion: 2, mediaType, config, layers: Layers.map(() => config) };
	const diffIds = parseConfig(bytes, draft, what).value.rootfs.diff_ids;
	const blobs = new Map<Digest, SavedMember>();
	const member = find(Config);
	if (member !== undefined) blobs.set(config.digest, member);
	const layers = Layers.map((name, index): Descriptor => {
		const [layer, diffId] = [find(name), diffIds[index]];
		if (layer === undefined || diffId === undefined) throw invalid(what, `it lacks ${name.slice(0, 100)}`);
		const digest = layer.digest ?? diffId;
		blobs.set(digest, layer);
		return { mediaType: layerMediaType(family, layer.compression), digest, size: layer.size };
	});
	const text = new TextEncoder().encode(JSON.stringify({ ...draft, layers }));
	return { manifest: parseManifest(text, { mediaType }, what) as Document<Manifest>, blobs };
}

function readList(find: FindSaved, what: string): v.InferOutput<typeof list>[number] {
	const bytes = bytesOf(find('manifest.json'), what, 'manifest.json');
	try {
		const [image] = v.parse(list, parseJson(Buffer.from(bytes).toString('utf8')));
		if (image !== undefined) return image;
	} catch (cause) {
		throw invalid(what, 'its manifest.json is not a list of images', cause);
	}
	throw invalid(what, 'it has no image');
}

function bytesOf(member: SavedMember | undefined, what: string, name: string): Uint8Array {
	if (member?.content !== undefined && 'bytes' in member.content) return member.content.bytes;
	throw invalid(what, `it lacks ${name.slice(0, 100)}`);
}

function invalid(what: string, why: string, cause?: unknown): BuildError {
	return new BuildError('IMAGE_INVALID', `what was saved of ${what} is not an image archive: ${why}`, {
		hint: 'Save it to a file (docker save, podman save) and look at that; docker-archive:FILE reads it.',
		cause,
	});
}

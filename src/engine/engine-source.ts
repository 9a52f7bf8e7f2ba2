import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import * as v from 'valibot';
import type { ImageSource } from '../content/blob.js';
import { verifyStream } from '../content/verify.js';
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
import type { Engine, StoredImage } from './engine.js';
import { type FindSaved, readSaved, type SavedMember } from './saved-members.js';

/** What reading an image of an engine needs to know of us. */
export interface EngineReading {
	/** Which of the layers with these diffIDs nobody will ask for. */
	readonly present: (diffIds: readonly string[], signal: AbortSignal) => Promise<ReadonlySet<string>>;
	/** Makes a private directory for layers. */
	readonly scratch: () => Promise<string>;
}

/** An image of a local engine. */
export interface EngineSource extends ImageSource {
	readonly engine: Engine;
	/** What the engine has under the name now; nothing is transferred for it. */
	readonly inspect: (signal: AbortSignal) => Promise<StoredImage>;
	manifest(reference: string | Digest, signal: AbortSignal): Promise<Document<Manifest>>;
}

/**
 * The image `name` of `engine`. It is saved when its manifest is asked for, which engines do not have, and then only layers that are not
 * present take space; a layer that is wanted all the same has it saved once more. Throws what engines do, and IMAGE_INVALID.
 */
export function openEngineSource(engine: Engine, name: string, reading: EngineReading): EngineSource {
	const what = `${name} in ${engine.name}`;
	let found: Promise<StoredImage> | undefined;
	let some: Promise<SavedImage> | undefined;
	let whole: Promise<SavedImage> | undefined;
	const inspect = (signal: AbortSignal) => (found ??= engine.inspect(name, signal));
	const save = async (isWhole: boolean, signal: AbortSignal): Promise<SavedImage> => {
		const image = await inspect(signal);
		const present = isWhole ? new Set<string>() : await reading.present(image.diffIds, signal);
		const hexes = [...present].map((diffId) => diffId.replace(/^sha256:/, ''));
		let made: Promise<string> | undefined;
		const directory = () => (made ??= reading.scratch());
		const isNeeded = (file: string) => isWhole || !isPresent(file, hexes, image);
		const archive = await engine.save(image.id, signal);
		const find = await readSaved(archive, { isNeeded, directory }, signal);
		return savedImage(find, familyIn(engine, image), what);
	};
	return {
		engine,
		inspect,
		manifest: async (_reference, signal) => (await (some ??= save(false, signal))).manifest,
		open: async (blob, signal) => {
			const content =
				(await some)?.blobs.get(blob.digest)?.content ??
				(await (whole ??= save(true, signal))).blobs.get(blob.digest)?.content;
			if (content === undefined) throw gone(what);
			const stream =
				'bytes' in content ? Readable.from([content.bytes], { objectMode: false }) : createReadStream(content.path);
			return verifyStream(stream, blob, `${blob.digest} of ${what}`);
		},
	};
}

/** Engines that name a layer's file by its diffID let us do without it; where all layers are present, no file is needed at all. */
function isPresent(file: string, hexes: readonly string[], { diffIds }: StoredImage): boolean {
	return (diffIds.length > 0 && hexes.length === new Set(diffIds).size) || hexes.some((hex) => file.includes(hex));
}

/** Docker's engine has Docker's types, whatever the image was; podman keeps what it was. */
function familyIn({ type }: Engine, { isOci }: StoredImage): MediaFamily {
	return type === 'podman' && isOci ? 'oci' : 'docker';
}

function gone(what: string): BuildError {
	return new BuildError('ENGINE_FAILED', `${what} is another image now than when the build began`, {
		hint: 'Build again, while nothing else writes that name.',
	});
}

/** An image that an engine saved: the manifest that engines do not keep, and where the bytes of its blobs are. */
interface SavedImage {
	readonly manifest: Document<Manifest>;
	readonly blobs: ReadonlyMap<Digest, SavedMember>;
}

const list = v.array(v.looseObject({ Config: v.string(), Layers: v.pipe(v.array(v.string()), v.maxLength(500)) }));

/**
 * The only image of the archive in which `find` finds files (image-spec of Docker v1.2, "Combined Image JSON + Filesystem Changeset
 * Format"). The same content gives the same manifest; plain layers have the diffIDs of the config for digests. Throws IMAGE_INVALID.
 */
function savedImage(find: FindSaved, family: MediaFamily, what: string): SavedImage {
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

import * as v from 'valibot';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import type { Descriptor, Document, Platform } from './descriptor.js';
import { algorithmOf, type Digest, digestOf, finishDigest, hasherFor, isDigest } from './digest.js';
import type { ImageConfig, Index, Manifest } from './image.js';
import { isConfigType, isIndexType, isManifestType, layerCompression, OCI_INDEX, OCI_MANIFEST } from './media-types.js';
import { formatPlatform, platformRank } from './platform.js';

/** The largest manifest or index that is read, in bytes (distribution-spec v1.1: registries should accept 4 MiB). */
export const MAX_MANIFEST_BYTES: number = 4 * 1024 * 1024;
/** The largest image config that is read, in bytes. */
export const MAX_CONFIG_BYTES: number = 8 * 1024 * 1024;

const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;
const MAX_LAYERS = 500;
const MAX_INDEX_ENTRIES = 5000;
const text = v.string();
const optionalText = v.nullish(text);
const texts = v.nullish(v.array(text));
const annotations = v.optional(v.record(text, text));
const digest = v.custom<Digest>(
	(value) => typeof value === 'string' && isDigest(value),
	'not a sha256 or sha512 digest',
);
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const platform = v.looseObject({ os: text, architecture: text, variant: v.optional(text) });
const descriptor = v.looseObject({
	mediaType: text,
	digest,
	size,
	annotations,
	platform: v.optional(platform),
	urls: v.optional(v.pipe(v.array(text), v.maxLength(0, 'content at foreign URLs is refused'))),
});
const manifestSchema = v.looseObject({
	schemaVersion: v.literal(2),
	config: descriptor,
	layers: v.pipe(v.array(descriptor), v.maxLength(MAX_LAYERS, `an image may have ${MAX_LAYERS} layers at most`)),
	annotations,
});
const indexSchema = v.looseObject({
	schemaVersion: v.literal(2),
	manifests: v.pipe(v.array(descriptor), v.maxLength(MAX_INDEX_ENTRIES)),
	annotations,
});
const configSchema = v.looseObject({
	os: text,
	architecture: text,
	variant: optionalText,
	created: optionalText,
	config: v.nullish(
		v.looseObject({
			User: optionalText,
			Env: texts,
			Entrypoint: texts,
			Cmd: texts,
			WorkingDir: optionalText,
			Labels: v.nullish(v.record(text, text)),
			OnBuild: texts,
			Volumes: v.nullish(v.record(text, v.looseObject({}))),
			StopSignal: optionalText,
		}),
	),
	rootfs: v.looseObject({ type: v.literal('layers'), diff_ids: v.array(digest) }),
	history: v.nullish(
		v.array(
			v.looseObject({
				created: optionalText,
				created_by: optionalText,
				comment: optionalText,
				empty_layer: v.nullish(v.boolean()),
			}),
		),
	),
});

const OPTIONAL: ReadonlySet<string> = new Set([
	...Object.keys(configSchema.entries),
	...Object.keys(configSchema.entries.config.wrapped.entries),
]);

/** What is already known about a document before it is read: its digest, and the media type of its descriptor or HTTP header. */
export interface Expected {
	readonly digest?: Digest;
	readonly mediaType?: string;
}

/**
 * Hostile `bytes` as a manifest or index. Throws DIGEST_MISMATCH, IMAGE_INVALID (also when body and header disagree about what it
 * is, CVE-2021-41190) or IMAGE_UNSUPPORTED (schema 1, foreign layers). `what` names it in messages.
 */
export function parseManifest(bytes: Uint8Array, expected: Expected, what: string): Document<Manifest | Index> {
	if (bytes.length > MAX_MANIFEST_BYTES) throw invalid(what, `it is larger than ${MAX_MANIFEST_BYTES} bytes`);
	const found = verifyDigest(bytes, expected.digest, what);
	const body = parseObject(bytes, what);
	const mediaType = mediaTypeOf(body, expected.mediaType, what);
	const value = isIndexType(mediaType) ? checkIndex(body, what) : checkManifest(body, what);
	return { value: { ...value, mediaType }, bytes, descriptor: { mediaType, digest: found, size: bytes.length } };
}

/**
 * Hostile `bytes` as the image config of `manifest`. Throws DIGEST_MISMATCH when it is another document, IMAGE_INVALID when it
 * does not fit the manifest, IMAGE_UNSUPPORTED when it configures something that is not a container image.
 */
export function parseConfig(bytes: Uint8Array, manifest: Manifest, what: string): Document<ImageConfig> {
	if (!isConfigType(manifest.config.mediaType)) {
		throw new BuildError(
			'IMAGE_UNSUPPORTED',
			`${what} is not a container image but ${quoted(manifest.config.mediaType)}`,
			{
				hint: 'Name an image that can be run.',
			},
		);
	}
	verifyDigest(bytes, manifest.config.digest, `the config of ${what}`);
	const value = withoutNulls(
		check(configSchema, parseObject(bytes, what), `the config of ${what}`),
	) as unknown as ImageConfig;
	const [diffs, layers] = [value.rootfs.diff_ids.length, manifest.layers.length];
	if (diffs !== layers) throw invalid(what, `its config names ${diffs} layers, its manifest ${layers}`);
	return { value, bytes, descriptor: manifest.config };
}

/** Whether `document` is an index of several manifests rather than the manifest of one image. */
export function isIndex(document: Document<Manifest | Index>): document is Document<Index> {
	return 'manifests' in document.value;
}

/**
 * The entry of `index` for a host of `platform`: the best variant it can run. Attestations and unknown platforms are skipped.
 * Throws IMAGE_PLATFORM with what is offered instead.
 */
export function selectPlatform(index: Index, wanted: Platform, what: string): Descriptor {
	const entries = index.manifests.filter(isImageEntry);
	let best: { readonly entry: Descriptor; readonly rank: number } | undefined;
	for (const entry of entries) {
		const rank = entry.platform === undefined ? undefined : platformRank(wanted, entry.platform);
		if (rank !== undefined && (best === undefined || rank > best.rank)) best = { entry, rank };
	}
	const unnamed = entries.filter((entry) => entry.platform === undefined);
	const chosen = best?.entry ?? (unnamed.length === 1 ? unnamed[0] : undefined);
	if (chosen !== undefined) return chosen;
	const offered = [...new Set(entries.flatMap(({ platform: p }) => (p === undefined ? [] : [formatPlatform(p)])))];
	throw new BuildError('IMAGE_PLATFORM', `${what} has no image for ${formatPlatform(wanted)}`, {
		hint: `It offers ${redact(offered.slice(0, 40).join(', ')) || 'no platform at all'}. Choose one with --platform.`,
	});
}

function isImageEntry(entry: Descriptor): boolean {
	const attests = entry.annotations?.['vnd.docker.reference.type'] !== undefined;
	const known = isManifestType(entry.mediaType) || isIndexType(entry.mediaType);
	return known && !attests && entry.platform?.os !== 'unknown' && entry.platform?.architecture !== 'unknown';
}

function mediaTypeOf(body: Record<string, unknown>, header: string | undefined, what: string): string {
	const headerType = (header ?? '').toLowerCase().replace(/;.*$/s, '').trim();
	if (body['schemaVersion'] === 1 || SCHEMA_1.test(headerType)) throw schema1(what);
	const declared = declaredType(body, what);
	if (declared !== undefined && isKnownType(headerType) && declared !== headerType) {
		throw invalid(what, `it calls itself ${quoted(declared)} but was delivered as ${quoted(headerType)}`);
	}
	const guessed = 'manifests' in body ? OCI_INDEX : OCI_MANIFEST;
	const mediaType = declared ?? (isKnownType(headerType) ? headerType : guessed);
	if (isKnownType(mediaType)) return mediaType;
	throw new BuildError('IMAGE_UNSUPPORTED', `${what} is not an image but ${quoted(mediaType)}`, {
		hint: 'Name an OCI image or index, or a Docker image or manifest list.',
	});
}

function declaredType(body: Record<string, unknown>, what: string): string | undefined {
	const declared = body['mediaType'];
	if (declared === undefined || typeof declared === 'string') return declared;
	throw invalid(what, 'its mediaType is not a string');
}

function isKnownType(mediaType: string): boolean {
	return isManifestType(mediaType) || isIndexType(mediaType);
}

function schema1(what: string): BuildError {
	return new BuildError('IMAGE_UNSUPPORTED', `${what} is a Docker schema 1 image`, {
		hint: 'Push the image again with a current tool; schema 1 carries no verifiable config.',
	});
}

function checkManifest(body: Record<string, unknown>, what: string): Manifest {
	if ('manifests' in body) throw invalid(what, 'a manifest must not have "manifests"');
	const manifest = check(manifestSchema, body, what) as unknown as Manifest;
	if (isConfigType(manifest.config.mediaType)) for (const layer of manifest.layers) layerCompression(layer.mediaType);
	return manifest;
}

function checkIndex(body: Record<string, unknown>, what: string): Index {
	if ('layers' in body || 'config' in body) throw invalid(what, 'an index must not have "layers" or "config"');
	return check(indexSchema, body, what) as unknown as Index;
}

// Answers with the input itself, so that unknown fields and the order of all fields stay as they were.
function check<T>(
	schema: v.GenericSchema<unknown, T>,
	body: Record<string, unknown>,
	what: string,
): Record<string, unknown> {
	const result = v.safeParse(schema, body, { abortEarly: true });
	if (result.success) return body;
	const issue = result.issues[0];
	throw invalid(what, `${v.getDotPath(issue) ?? 'it'}: ${issue.message}`);
}

function parseObject(bytes: Uint8Array, what: string): Record<string, unknown> {
	let value: unknown;
	try {
		value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
	} catch (cause) {
		throw new BuildError('IMAGE_INVALID', `${what} is not valid JSON`, { hint: INVALID_HINT, cause });
	}
	if (typeof value !== 'object' || value === null || Array.isArray(value))
		throw invalid(what, 'it is not a JSON object');
	return value as Record<string, unknown>;
}

// Go tools write null for what is empty in optional fields; absence says the same.
function withoutNulls(config: Record<string, unknown>): Record<string, unknown> {
	const kept = Object.entries(config).filter(([key, value]) => value !== null || !OPTIONAL.has(key));
	return Object.fromEntries(
		kept.map(([key, value]) =>
			key === 'config' ? [key, withoutNulls(value as Record<string, unknown>)] : [key, value],
		),
	);
}

function verifyDigest(bytes: Uint8Array, expected: Digest | undefined, what: string): Digest {
	if (expected === undefined) return digestOf(bytes);
	const found = finishDigest(hasherFor(expected).update(bytes), algorithmOf(expected));
	if (found === expected) return found;
	throw new BuildError('DIGEST_MISMATCH', `${what} has the digest ${found} instead of ${expected}`, {
		hint: 'The registry, a proxy or the disk delivered other bytes than were asked for; try again, then look there.',
	});
}

const INVALID_HINT = 'The image is damaged or was not made by an image builder; push it again or choose another one.';

function invalid(what: string, why: string): BuildError {
	return new BuildError('IMAGE_INVALID', `${what} is not a valid image: ${redact(why).slice(0, 300)}`, {
		hint: INVALID_HINT,
	});
}

function quoted(value: string): string {
	return JSON.stringify(redact(value).slice(0, 100));
}

import * as v from 'valibot';
import { BuildError } from '../errors.js';
import { parseJson } from '../json.js';
import { redact } from '../redact.js';
import type { Document } from './descriptor.js';
import { algorithmOf, type Digest, digestOf, finishDigest, hasherFor, isDigest } from './digest.js';
import type { ImageConfig, Index, Manifest } from './image.js';
import { isConfigType, isIndexType, isManifestType, layerCompression, OCI_INDEX, OCI_MANIFEST } from './media-types.js';
import { withoutNulls } from './nulls.js';

/** The largest manifest or index that is read, in bytes (distribution-spec v1.1: registries should accept 4 MiB). */
export const MAX_MANIFEST_BYTES: number = 4 * 1024 * 1024;
/** The largest image config that is read, in bytes. */
export const MAX_CONFIG_BYTES: number = 8 * 1024 * 1024;

const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;
const MAX_LAYERS = 500;
const MAX_INDEX_ENTRIES = 5000;
const text = v.string();
const optionalText = v.optional(text);
const texts = v.optional(v.array(text));
const annotations = v.optional(v.record(text, text));
const digest = v.custom<Digest>(
	(value) => typeof value === 'string' && isDigest(value),
	'not a sha256 or sha512 digest',
);
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const platform = v.looseObject({ os: optionalText, architecture: optionalText, variant: optionalText });
const descriptor = v.looseObject({
	mediaType: text,
	digest,
	size,
	annotations,
	artifactType: optionalText,
	platform: v.optional(platform),
	urls: texts,
});
const manifestSchema = v.looseObject({
	schemaVersion: v.optional(v.literal(2)),
	config: descriptor,
	layers: v.pipe(v.array(descriptor), v.maxLength(MAX_LAYERS, `an image may have ${MAX_LAYERS} layers at most`)),
	artifactType: optionalText,
	annotations,
});
const indexSchema = v.looseObject({
	schemaVersion: v.optional(v.literal(2)),
	manifests: v.pipe(v.array(descriptor), v.maxLength(MAX_INDEX_ENTRIES)),
	annotations,
});
const configSchema = v.looseObject({
	os: optionalText,
	architecture: optionalText,
	variant: optionalText,
	created: optionalText,
	config: v.optional(
		v.looseObject({
			User: optionalText,
			Env: texts,
			Entrypoint: texts,
			Cmd: texts,
			WorkingDir: optionalText,
			Labels: v.optional(v.record(text, text)),
			OnBuild: texts,
			Volumes: v.optional(v.record(text, v.looseObject({}))),
			StopSignal: optionalText,
		}),
	),
	rootfs: v.looseObject({ type: v.literal('layers'), diff_ids: v.array(digest) }),
	history: v.optional(
		v.array(
			v.looseObject({
				created: optionalText,
				created_by: optionalText,
				comment: optionalText,
				empty_layer: v.optional(v.boolean()),
			}),
		),
	),
});

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
	requireImage(manifest, what);
	verifyDigest(bytes, manifest.config.digest, `the config of ${what}`);
	const body = withDefaults(parseObject(bytes, what));
	const value = check(configSchema, body, `the config of ${what}`) as unknown as ImageConfig;
	const [diffs, layers] = [value.rootfs.diff_ids.length, manifest.layers.length];
	if (diffs !== layers) throw invalid(what, `its config names ${diffs} layers, its manifest ${layers}`);
	return { value, bytes, descriptor: manifest.config };
}

/** Throws IMAGE_UNSUPPORTED when `manifest` is some other artifact than a container image. */
export function requireImage({ config }: Manifest, what: string): void {
	if (isConfigType(config.mediaType)) return;
	throw new BuildError('IMAGE_UNSUPPORTED', `${what} is not a container image but ${quoted(config.mediaType)}`, {
		hint: 'Name an image that can be run.',
	});
}

/** Whether `document` is an index of several manifests rather than the manifest of one image. */
export function isIndex(document: Document<Manifest | Index>): document is Document<Index> {
	return 'manifests' in document.value;
}

function mediaTypeOf(body: Record<string, unknown>, header: string | undefined, what: string): string {
	const headerType = (header ?? '').toLowerCase().replace(/;.*$/s, '').trim();
	if (body['schemaVersion'] === 1 || SCHEMA_1.test(headerType)) throw schema1(what);
	const declared = declaredType(body, what);
	if (declared !== undefined && isKnownType(headerType) && declared !== headerType) {
		throw invalid(what, `it calls itself ${quoted(declared)} but was delivered as ${quoted(headerType)}`);
	}
	const guessed = has(body, 'manifests') ? OCI_INDEX : OCI_MANIFEST;
	const mediaType = declared ?? (isKnownType(headerType) ? headerType : guessed);
	if (isKnownType(mediaType)) return mediaType;
	throw new BuildError('IMAGE_UNSUPPORTED', `${what} is not an image but ${quoted(mediaType)}`, {
		hint: 'Name an OCI image or index, or a Docker image or manifest list.',
	});
}

function declaredType(body: Record<string, unknown>, what: string): string | undefined {
	const declared = body['mediaType'];
	if (declared === undefined || declared === null || declared === '') return undefined;
	if (typeof declared === 'string') return declared;
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
	if (has(body, 'manifests')) throw invalid(what, 'a manifest must not have "manifests"');
	const whole = { ...body, layers: body['layers'] ?? [] };
	const manifest = check(manifestSchema, whole, what) as unknown as Manifest;
	if (isConfigType(manifest.config.mediaType)) for (const layer of manifest.layers) layerCompression(layer.mediaType);
	return manifest;
}

function checkIndex(body: Record<string, unknown>, what: string): Index {
	if (has(body, 'layers') || has(body, 'config')) throw invalid(what, 'an index must not have "layers" or "config"');
	return check(indexSchema, { ...body, manifests: body['manifests'] ?? [] }, what) as unknown as Index;
}

function has(body: Record<string, unknown>, field: string): boolean {
	return body[field] !== undefined && body[field] !== null;
}

// Answers with the input but for its nulls, so that unknown fields and the order of all fields stay as they were.
function check<T>(
	schema: v.GenericSchema<unknown, T>,
	body: Record<string, unknown>,
	what: string,
): Record<string, unknown> {
	const plain = withoutNulls(schema, body) as Record<string, unknown>;
	const result = v.safeParse(schema, plain, { abortEarly: true });
	if (result.success) return plain;
	const issue = result.issues[0];
	throw invalid(what, `${v.getDotPath(issue) ?? 'it'}: ${issue.message}`);
}

function parseObject(bytes: Uint8Array, what: string): Record<string, unknown> {
	let value: unknown;
	try {
		value = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
	} catch (cause) {
		throw new BuildError('IMAGE_INVALID', `${what} is not valid JSON, or too deep`, { hint: INVALID_HINT, cause });
	}
	if (typeof value !== 'object' || value === null || Array.isArray(value))
		throw invalid(what, 'it is not a JSON object');
	return value as Record<string, unknown>;
}

/** What Go tools read other than it is written: a command that is one string (moby, strslice.StrSlice), and no word of layers. */
function withDefaults(config: Record<string, unknown>): Record<string, unknown> {
	const { config: container, rootfs } = config;
	const words = Object.fromEntries(
		['Cmd', 'Entrypoint'].flatMap((field) => {
			const value = isRecord(container) ? container[field] : undefined;
			return typeof value === 'string' ? [[field, [value]]] : [];
		}),
	);
	const layers = isRecord(rootfs) ? rootfs : {};
	const isEmpty = rootfs === undefined || rootfs === null || isRecord(rootfs);
	return {
		...config,
		...(isRecord(container) && { config: { ...container, ...words } }),
		...(isEmpty && {
			rootfs: { ...layers, type: layers['type'] ?? 'layers', diff_ids: layers['diff_ids'] ?? [] },
		}),
	};
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
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

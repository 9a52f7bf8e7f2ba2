import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import * as v from 'valibot';
import type { ImageSource } from '../../content/blob.js';
import { readBytes, verifyStream } from '../../content/verify.js';
import type { StoredImage } from '../../engine/engine.js';
import { BuildError, isBuildError } from '../../errors.js';
import { makePath } from '../../make-path.js';
import type { Document, Platform } from '../../oci/descriptor.js';
import { type Digest, hasherFor, hexOf, isDigest } from '../../oci/digest.js';
import { diffIdsOf, type Image } from '../../oci/image.js';
import { MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, parseManifest } from '../../oci/manifest.js';
import { isIndexType } from '../../oci/media-types.js';
import { formatPlatform } from '../../oci/platform.js';
import { writeByRename } from '../../whole-file.js';
import type { Emit } from '../events.js';
import type { PullPolicy } from '../request.js';
import { explainBare } from './bare-name.js';
import type { OpenedSource } from './open-image.js';
import { resolveImage } from './resolve-image.js';

/** What deciding without a registry takes. */
export interface RecordContext {
	/** The layer store; records are below its `images`. */
	readonly store: string;
	readonly platform: Platform;
	/** Whether every one of these layers is in the store. Asked only when the answer decides something. */
	readonly present: (diffIds: readonly Digest[]) => Promise<boolean>;
}

const FORMAT = 1;
/** Base64 of an index, two nested ones and a manifest, and of a config, each of the largest size that is read. */
const MAX_RECORD_BYTES = Math.ceil(((4 * MAX_MANIFEST_BYTES + MAX_CONFIG_BYTES) * 4) / 3) + 4096;

const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
const document = v.object({ mediaType: v.string(), digest, content: v.string() });
const recordSchema = v.object({
	format: v.literal(FORMAT),
	name: v.string(),
	platform: v.string(),
	/** What the reference named, then what each of those led to. */
	manifests: v.pipe(v.array(document), v.minLength(1), v.maxLength(4)),
	config: document,
	/** What a local engine had under the name. */
	imageId: v.optional(v.string()),
});
type ImageRecord = v.InferOutput<typeof recordSchema>;
type RecordedDocument = v.InferOutput<typeof document>;

/**
 * The image that `opened` names, asked for as `policy` says, and recorded in the store for the next time. Images that are not on a
 * registry are always read; one that a local engine has is transferred only when it is another one, or the store lacks a layer of it. A digest that is recorded is never asked for again, except by `always`. Throws what
 * {@link resolveImage} does; REGISTRY_NOT_FOUND when `never` has nothing to go by.
 */
export async function resolveWithPolicy(
	opened: OpenedSource,
	policy: PullPolicy,
	context: RecordContext,
	emit: Emit,
	signal: AbortSignal,
): Promise<Image> {
	if (opened.inspect !== undefined) return resolveStored(opened, await opened.inspect(signal), context, signal);
	if (opened.repository === undefined) return resolveImage(opened, context.platform, signal);
	const recorded = () => readRecorded(opened, context, signal);
	const usable = async () => {
		const image = await recorded();
		return image !== undefined && (await context.present(diffIdsOf(image))) ? image : undefined;
	};
	const ask = () => resolveAndRecord(opened, context, signal);
	if (policy === 'always') return ask();
	const pinned = isDigest(opened.reference) ? await recorded() : undefined;
	if (pinned !== undefined && policy !== 'never') return pinned;
	if (policy === 'check') return askOrFallBack(opened, ask, usable, emit, signal);
	const known = await usable();
	if (known !== undefined) return known;
	if (policy === 'never') throw explainBare(notPulled(opened.name), opened.bare);
	return ask();
}

async function resolveStored(
	opened: OpenedSource,
	{ id }: StoredImage,
	context: RecordContext,
	signal: AbortSignal,
): Promise<Image> {
	const known = await readRecorded(opened, context, signal, id);
	if (known !== undefined && (await context.present(diffIdsOf(known)))) return known;
	return resolveAndRecord(opened, context, signal, id);
}

async function askOrFallBack(
	{ name }: OpenedSource,
	ask: () => Promise<Image>,
	usable: () => Promise<Image | undefined>,
	emit: Emit,
	signal: AbortSignal,
): Promise<Image> {
	try {
		return await ask();
	} catch (error) {
		signal.throwIfAborted();
		const known = isBuildError(error, 'REGISTRY_UNREACHABLE') ? await usable() : undefined;
		if (known === undefined || !isBuildError(error)) throw error;
		const { digest: found } = known.manifest.descriptor;
		const message = `${error.message}; ${name} is used as it was last seen, ${found}`;
		emit({ type: 'warning', code: 'REGISTRY_UNREACHABLE', message });
		return known;
	}
}

function notPulled(name: string): BuildError {
	return new BuildError(
		'REGISTRY_NOT_FOUND',
		`${name} is not in the store with all its layers, and may not be pulled`,
		{
			hint: 'Build once with another pull policy (if-not-present asks the registry only when it must), or keep the store.',
		},
	);
}

/**
 * Asks what is named now. Documents that were recorded under the digests that it leads to are not asked for again. A record that cannot be written costs
 * requests next time, which is no reason to fail.
 */
async function resolveAndRecord(
	opened: OpenedSource,
	context: RecordContext,
	signal: AbortSignal,
	imageId?: string,
): Promise<Image> {
	const manifests: RecordedDocument[] = [];
	const { source } = opened;
	const known = await readImageRecord(opened, context).catch(() => undefined);
	const documents = known === undefined ? [] : [known.config, ...known.manifests];
	const has = (wanted: string) => documents.some((each) => each.digest === wanted && isIntact(each));
	const replayed = known && replay(opened, known).source;
	const sourceOf = (wanted: string) => (replayed !== undefined && has(wanted) ? replayed : source);
	const listening: ImageSource = {
		open: (blob, stop) => sourceOf(blob.digest).open(blob, stop),
		manifest: async (reference, stop) => {
			const from = reference === opened.reference ? source : sourceOf(reference);
			const found = await from.manifest(reference, stop);
			manifests.push(toRecorded(found));
			return found;
		},
	};
	const image = await resolveImage({ ...opened, source: listening }, context.platform, signal);
	const platform = formatPlatform(context.platform);
	const chosen = image.manifest.descriptor.digest;
	const passed = manifests.filter(({ mediaType, digest }) => isIndexType(mediaType) || digest === chosen);
	const record: ImageRecord = {
		...{ format: FORMAT, name: opened.name, platform, manifests: passed },
		config: toRecorded(image.config),
		...(imageId !== undefined && { imageId }),
	};
	await writeRecord(recordPath(opened, context), JSON.stringify(record)).catch(() => undefined);
	return image;
}

function toRecorded({ bytes, descriptor }: Document<unknown>): RecordedDocument {
	const content = Buffer.from(bytes).toString('base64');
	return { mediaType: descriptor.mediaType, digest: descriptor.digest, content };
}

/** The recorded image, verified like one that was pulled; undefined when there is none, or none that can be trusted. */
async function readRecorded(
	opened: OpenedSource,
	context: RecordContext,
	signal: AbortSignal,
	imageId?: string,
): Promise<Image | undefined> {
	try {
		const record = await readImageRecord(opened, context);
		const isSame = record?.imageId === imageId;
		return record && isSame ? await resolveImage(replay(opened, record), context.platform, signal) : undefined;
	} catch {
		signal.throwIfAborted();
		return undefined;
	}
}

/** The record of the name of `opened`, unverified; undefined when it is another's. Rejects when there is none. */
async function readImageRecord(opened: OpenedSource, context: RecordContext): Promise<ImageRecord | undefined> {
	const record = v.parse(recordSchema, JSON.parse(await readRecord(recordPath(opened, context))));
	const isOurs = record.name === opened.name && record.platform === formatPlatform(context.platform);
	return isOurs ? record : undefined;
}

function isIntact({ digest: claimed, content }: RecordedDocument): boolean {
	return hasherFor(claimed).update(Buffer.from(content, 'base64')).digest('hex') === hexOf(claimed);
}

/** `opened` with all it is asked for coming from `record`. */
function replay(opened: OpenedSource, record: ImageRecord): OpenedSource {
	const [first] = record.manifests;
	const source: ImageSource = {
		manifest: (reference) => {
			const found = isDigest(reference) ? record.manifests.find((each) => each.digest === reference) : first;
			if (found === undefined) return Promise.reject(notChosen(opened.name));
			const expected = { digest: found.digest, mediaType: found.mediaType };
			return Promise.resolve(parseManifest(Buffer.from(found.content, 'base64'), expected, opened.name));
		},
		open: (blob) => {
			const bytes = Readable.from([Buffer.from(record.config.content, 'base64')], { objectMode: false });
			return Promise.resolve(verifyStream(bytes, blob, `the recorded config of ${opened.name}`));
		},
	};
	return { ...opened, source };
}

/** What an index has besides the image that was chosen is passed over again. */
function notChosen(name: string): BuildError {
	return new BuildError('IMAGE_UNSUPPORTED', `${name} has an entry that is not in its record`, {
		hint: 'Pull it again.',
	});
}

function recordPath({ name }: OpenedSource, { store, platform }: RecordContext): string {
	const key = createHash('sha256')
		.update(`${name}\n${formatPlatform(platform)}`)
		.digest('hex');
	return join(store, 'images', `${key}.json`);
}

async function readRecord(path: string): Promise<string> {
	const file = await open(path, 'r');
	try {
		const bytes = await readBytes(file.createReadStream({ autoClose: false }), MAX_RECORD_BYTES, path);
		return Buffer.from(bytes).toString('utf8');
	} finally {
		await file.close();
	}
}

async function writeRecord(path: string, text: string): Promise<void> {
	makePath(dirname(path), 0o700);
	await writeByRename(dirname(path), basename(path), text, { mode: 0o600 });
}

import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { formatImageLocation, type ImageLocation, isEngineLocation } from '../../content/location.js';
import { BuildError, isBuildError, messageOf } from '../../errors.js';
import {
	type ArtifactDocument,
	type ArtifactKey,
	artifactDocument,
	artifactTags,
	bestArtifacts,
	type FoundArtifacts,
	readArtifact,
} from '../../oci/artifact.js';
import type { PackedLayer } from '../../oci/descriptor.js';
import type { Digest } from '../../oci/digest.js';
import { redact } from '../../redact.js';
import type { Contract } from '../../s2i/contract.js';
import { withoutCredentials } from '../../s2i/labels.js';
import type { User } from '../../s2i/users.js';
import type { SourceInfo } from '../../source/source.js';
import type { BuildContext } from '../context.js';
import { type OpenedSource, type OpenedTarget, openImageSource, openImageTarget } from '../images/open-image.js';
import { putBlob } from '../images/transfer.js';
import type { Root } from '../root.js';
import type { RestoredArtifacts } from './incremental.js';
import { runSaveArtifacts } from './save-artifacts.js';

/** A build whose artifacts are to be saved. */
export interface CacheInput {
	readonly source: SourceInfo;
	/** Of the builder. */
	readonly root: Root;
	/** The builder's assemble user. */
	readonly user: User;
	/** Of the builder. */
	readonly contract: Contract;
	/** Path of the builder's or the build's own save-artifacts in the container; undefined when there is none. */
	readonly script: string | undefined;
	/** Manifest digest of what was built. */
	readonly image: Digest;
}

interface Candidate extends FoundArtifacts {
	readonly opened: OpenedSource;
}

/** What looking for artifacts takes. */
type LookContext = Omit<BuildContext, 'worker'>;

const CODE = 'ARTIFACT_CACHE';

/**
 * The artifacts of `incremental.cacheFrom` that fit this build best: those of the same builder image before those of another version of
 * it, newer before older. A location without a tag (or with `latest`) is a repository that holds the artifacts of many builds. Undefined
 * when there are none; what goes wrong is a warning. Rejects when aborted.
 */
export async function restoreFromCache(
	context: BuildContext,
	input: Pick<CacheInput, 'source' | 'user'>,
): Promise<RestoredArtifacts | undefined> {
	const { record } = context;
	const candidates = await findAll(context, input.source);
	for (const candidate of candidates) {
		const restored = await restore(candidate, input.user, context);
		if (restored !== undefined) return restored;
	}
	record.emit({ type: 'log', level: 1, message: 'no cache has artifacts of this source' });
	return undefined;
}

/** The images of the builds whose artifacts `incremental.cacheFrom` has for this builder image and `source`, by their manifest digests. */
export async function cachedImages(context: LookContext, source: SourceInfo): Promise<readonly Digest[]> {
	const found = await findAll(context, source);
	return found.flatMap(({ isExact, image }) => (isExact && image !== undefined ? [image] : []));
}

async function findAll(context: LookContext, source: SourceInfo): Promise<readonly Candidate[]> {
	const key = keyOf(context, source);
	const looking = context.request.incremental.cacheFrom.map((location) => find(location, key, context));
	return bestArtifacts((await Promise.all(looking)).flat());
}

/**
 * Runs save-artifacts in the root filesystem that assemble has left, and pushes what it gives to every `incremental.cacheTo`. Nothing is
 * uploaded when the same artifacts are there. The script may change files, so the layer must be packed before. What goes wrong is a
 * warning. Rejects when aborted.
 */
export async function saveToCache(context: BuildContext, input: CacheInput): Promise<void> {
	const { request, session, signal, record } = context;
	if (request.incremental.cacheTo.length === 0) return;
	const { root, script: path, contract, user, source, image } = input;
	if (path === undefined) {
		record.emit({ type: 'log', level: 1, message: 'nothing is cached: there is no save-artifacts script' });
		return;
	}
	await warned('the artifacts of this build were not cached', context, async () => {
		const [directory, pack] = [join(session.scratch, 'saved'), join(session.scratch, 'saved.tar.gz')];
		const owner = { uid: user.uid, gid: user.gid };
		const { packed } = await runSaveArtifacts({ root, path, contract, user, directory, owner, pack }, context);
		if (packed === undefined) {
			record.emit({ type: 'log', level: 1, message: 'nothing is cached: save-artifacts saved nothing' });
			return;
		}
		for (const location of request.incremental.cacheTo) {
			const name = formatImageLocation(location);
			signal.throwIfAborted();
			await warned(`the artifacts were not pushed to ${name}`, context, async () => {
				await push(location, { packed, path: pack, source, image }, context);
				record.emit({ type: 'log', level: 1, message: `cached ${packed.size} bytes of artifacts in ${name}` });
			});
		}
	});
}

function keyOf({ request, images }: LookContext, source: SourceInfo): ArtifactKey {
	return {
		builder: images.builder.image.manifest.descriptor.digest,
		source: withoutCredentials(source.location),
		contextDir: source.contextDir,
		platform: request.host.platform,
	};
}

async function warned<T>(
	what: string,
	{ record, signal }: LookContext,
	work: () => Promise<T>,
): Promise<T | undefined> {
	try {
		return await work();
	} catch (error) {
		signal.throwIfAborted();
		if (isBuildError(error, 'HOST_WORKER')) throw error;
		record.emit({ type: 'warning', code: CODE, message: `${what}: ${redact(messageOf(error))}` });
		return undefined;
	}
}

/** The tag or name of an archive that somebody typed; else the ones that follow from the key. */
function namesIn(location: ImageLocation, key: ArtifactKey): readonly string[] {
	const { exact, similar } = artifactTags(key);
	if (isEngineLocation(location)) return [];
	if (location.type !== 'registry') return location.ref === undefined ? [exact, similar] : [location.ref];
	const { tag = 'latest', digest } = location.reference;
	if (digest !== undefined) return [digest];
	return tag === 'latest' ? [exact, similar] : [tag];
}

async function find(location: ImageLocation, key: ArtifactKey, context: LookContext): Promise<readonly Candidate[]> {
	const opening = () => openImageSource(location, context.session.access, context.signal);
	const opened = await warned(`${formatImageLocation(location)} cannot be read`, context, opening);
	if (opened === undefined) return [];
	for (const reference of namesIn(location, key)) {
		const found = await lookUp({ ...opened, reference }, key, context);
		if (found !== undefined) return [found];
	}
	return [];
}

async function lookUp(opened: OpenedSource, key: ArtifactKey, context: LookContext): Promise<Candidate | undefined> {
	return warned(`${opened.name} cannot be read`, context, async () => {
		try {
			const found = readArtifact(await opened.source.manifest(opened.reference, context.signal), key);
			return found && { ...found, opened };
		} catch (error) {
			const isMissing = opened.repository === undefined ? 'IMAGE_INVALID' : 'REGISTRY_NOT_FOUND';
			if (isBuildError(error, isMissing)) return undefined;
			throw error;
		}
	});
}

async function restore(
	{ layer, opened, isExact }: Candidate,
	user: User,
	context: BuildContext,
): Promise<RestoredArtifacts | undefined> {
	const { session, worker, record, signal } = context;
	return warned(`the artifacts in ${opened.name} cannot be used`, context, async () => {
		const archive = join(session.scratch, 'cached.tar.gz');
		await pipeline(await opened.source.open(layer, signal), createWriteStream(archive, { mode: 0o600 }), { signal });
		record.count('downloaded', layer.size);
		const owner = { uid: user.uid, gid: user.gid };
		const directory = join(session.scratch, 'artifacts');
		const { entries } = await worker.call('restoreArtifacts', { archive, directory, owner });
		const builder = isExact ? 'this builder image' : 'another version of the builder image';
		record.emit({ type: 'log', level: 1, message: `restored ${entries} artifacts of ${builder} from ${opened.name}` });
		return entries === 0 ? undefined : { directory, owner, previous: undefined };
	});
}

interface PackedFile {
	readonly packed: PackedLayer;
	/** Host path. */
	readonly path: string;
	readonly source: SourceInfo;
	/** Manifest digest of what was built. */
	readonly image: Digest;
}

async function push(location: ImageLocation, file: PackedFile, context: BuildContext): Promise<void> {
	const { session, signal } = context;
	const { packed, path, source, image } = file;
	const key = keyOf(context, source);
	const about = { epoch: source.epoch, image };
	if (location.type === 'docker-archive' || isEngineLocation(location)) {
		throw new BuildError('REFERENCE_INVALID', 'a Docker archive or a local engine can hold images only', {
			hint: 'Name a registry, oci:DIR or oci-archive:FILE.',
		});
	}
	const target = await openImageTarget(location, session.access, signal);
	const artifact = artifactDocument(packed, key, about, false);
	const names = namesIn(location, key);
	const [layer] = artifact.manifest.value.layers;
	if (layer === undefined) return;
	const { digest } = layer;
	if (!(await target.target.has(layer, signal))) {
		await putBlob(layer, () => Promise.resolve(createReadStream(path)), target, context.record, signal);
	} else {
		context.record.emit({ type: 'blob', transfer: 'push', digest, size: layer.size, status: 'present' });
	}
	try {
		await putDocument(artifact, names, target, context);
	} catch (error) {
		// Registries that check types answer 400, 404 or 415 to an artifact; an image passes everywhere.
		if (!isBuildError(error, 'REGISTRY_REFUSED', 'REGISTRY_NOT_FOUND')) throw error;
		await putDocument(artifactDocument(packed, key, about, true), names, target, context);
	}
}

async function putDocument(
	{ manifest, config }: ArtifactDocument,
	names: readonly (string | undefined)[],
	{ target }: OpenedTarget,
	{ signal }: BuildContext,
): Promise<void> {
	const { descriptor, bytes } = config;
	if (!(await target.has(descriptor, signal))) {
		await target.put(descriptor, () => Promise.resolve(Readable.from([bytes], { objectMode: false })), signal);
	}
	for (const name of names) await target.putManifest(manifest, name, signal);
}

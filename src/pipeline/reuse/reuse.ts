import { type ImageLocation, namesImage } from '../../content/location.js';
import type { Digest } from '../../oci/digest.js';
import type { Image } from '../../oci/image.js';
import { BUILDER_LABEL, KEY_LABEL, VOLATILE_LABEL } from '../../s2i/labels.js';
import type { Assembled } from '../assemble/assemble.js';
import { openImageSource } from '../images/open-image.js';
import { resolveImage } from '../images/resolve-image.js';
import { cachedImages } from '../incremental/artifact-cache.js';
import type { FetchedSource } from '../prepare/prepare.js';
import { runKey } from './build-key.js';
import { type BuiltKey, hasBuilt, readBuiltImage, recordBuiltImage } from './built-images.js';
import { type Candidate, isReadable, nameAgain, type ReuseContext, unlessRefused } from './name-again.js';
import { type BuildKey, isAlwaysMade, readKey, whyNoKey } from './read-key.js';

/** Naming an image again instead of building it. */
export interface Reuse {
	/** The image that was built from the same, once every target names it; undefined when it has to be built. */
	readonly find: () => Promise<Image | undefined>;
	/** The key for the image's labels; undefined where it has none, or it is private. To be called before the source is moved. */
	readonly label: () => Promise<Digest | undefined>;
	/** Remembers what was built, unless assemble said that it is volatile. */
	readonly remember: (built: Image, labels: Assembled['labels']) => Promise<void>;
}

/** Begins to find out whether the build of `context` has been made already. Nothing is asked of registries before `find`. */
export function openReuse(
	context: ReuseContext,
	fetching: Promise<FetchedSource>,
	digesting: Promise<string | undefined>,
): Reuse {
	const { request, images, record, signal } = context;
	const why = whyNoKey(request, images);
	const builder = images.builder.image.manifest.descriptor.digest;
	const keying: Promise<BuildKey | undefined> =
		why === undefined
			? digesting
					.then((source) => (source === undefined ? undefined : readKey(request, images, source)))
					.catch(() => undefined)
			: Promise.resolve(undefined);
	const { store } = request.host;
	const isAsked = request.output.reuse === 'auto';
	return {
		find: async () => {
			if (why !== undefined && isAsked)
				record.emit({ type: 'log', level: 1, message: `this build is always made: ${why}` });
			if (why !== undefined || isAlwaysMade(request)) return undefined;
			const isKnown = await hasBuilt(store, builder);
			const labelled = isAsked ? await findLabelled(context, fetching) : [];
			// Nobody waits for the source where nothing can be found.
			const key = isKnown || labelled.length > 0 ? await keying : undefined;
			signal.throwIfAborted();
			return key && firstNamed(await candidatesFor(key, labelled, context), context);
		},
		label: async () => {
			const key = await keying;
			return key === undefined || key.isPrivate ? undefined : key.digest;
		},
		remember: async (built, labels) => {
			const key = await keying;
			if (key === undefined || labels[VOLATILE_LABEL] === 'true') return;
			await recordBuiltImage(store, recordKey(key, context), built);
		},
	};
}

/** What the store knows itself comes first. */
async function candidatesFor(
	key: BuildKey,
	labelled: readonly Candidate[],
	context: ReuseContext,
): Promise<readonly Candidate[]> {
	const image = await readBuiltImage(context.request.host.store, recordKey(key, context));
	const own = image === undefined ? [] : [{ image, opened: undefined }];
	return [...own, ...labelled.filter((candidate) => labelOf(candidate.image, KEY_LABEL) === key.digest)];
}

async function firstNamed(candidates: readonly Candidate[], context: ReuseContext): Promise<Image | undefined> {
	for (const candidate of candidates) {
		if (await nameAgain(candidate, context)) return candidate.image;
	}
	return undefined;
}

function recordKey({ digest, source }: BuildKey, { request, images }: ReuseContext): BuiltKey {
	return { builder: images.builder.image.manifest.descriptor.digest, source, key: runKey(digest, request) };
}

/**
 * Images at the targets, and those that the caches of artifacts belong to, which say that they were built on this builder image. Whoever may push
 * there may have written that: the user said that it counts.
 */
async function findLabelled(context: ReuseContext, fetching: Promise<FetchedSource>): Promise<readonly Candidate[]> {
	const { request, session, images, signal } = context;
	const base = images.runtime ?? images.builder;
	const below = base.image.layers.map(({ diffId }) => diffId);
	const read = async (location: ImageLocation, reference?: Digest): Promise<readonly Candidate[]> => {
		const found = await unlessRefused(signal, async () => {
			const opened = await openImageSource(location, session.access, signal);
			const image = await resolveImage({ ...opened, ...(reference && { reference }) }, request.host.platform, signal);
			return { image, opened };
		});
		return found === undefined ? [] : [found];
	};
	const [first] = request.output.targets;
	const isCached = first?.type === 'registry' && request.incremental.cacheFrom.length > 0;
	const cached = isCached ? await cachedImages(context, (await fetching).info) : [];
	const found = await Promise.all([
		...request.output.targets
			.filter((location) => namesImage(location) && isReadable(location))
			.map((location) => read(location)),
		...(first === undefined ? [] : cached.map((digest) => read(first, digest))),
	]);
	const builder = images.builder.image.manifest.descriptor.digest;
	return found.flat().filter(({ image }) => {
		const isOurs = labelOf(image, BUILDER_LABEL) === builder && labelOf(image, KEY_LABEL) !== undefined;
		return (
			isOurs && image.layers.length === below.length + 1 && below.every((id, at) => image.layers[at]?.diffId === id)
		);
	});
}

function labelOf(image: Image, name: string): string | undefined {
	return image.config.value.config?.Labels?.[name];
}

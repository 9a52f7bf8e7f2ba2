import { type ImageLocation, parseImageLocation } from '../../content/location.js';
import type { Descriptor, Document } from '../../oci/descriptor.js';
import type { Digest } from '../../oci/digest.js';
import { diffIdsOf, type Image, type Index, type Manifest } from '../../oci/image.js';
import { isIndex } from '../../oci/manifest.js';
import { isIndexType } from '../../oci/media-types.js';
import { completePlatform, formatPlatform } from '../../oci/platform.js';
import { formatReference, type ImageReference } from '../../oci/reference.js';
import type { OpenRepository } from '../../registry/registries.js';
import type { Repository } from '../../registry/repository.js';
import { resolveImage } from '../images/resolve-image.js';
import type { Origin } from './origins.js';

/** Whether a name still leads to what an image was made from. `now` is the digest that it leads to. */
export type Standing =
	| { readonly state: 'fresh' }
	| { readonly state: 'stale'; readonly now: Digest }
	| { readonly state: 'unknown'; readonly reason: string };

/** Finds out whether what `image` was made from, for a host of its platform, has moved on. Throws what registries answer. */
export type CompareOrigin = (origin: Origin, image: Image, signal: AbortSignal) => Promise<Standing>;

const MAX_NESTED_INDEXES = 3;

/**
 * Compares by one HEAD for each distinct name, however many images were made from it. What is an index then is pulled too, once: images
 * keep the digest of the manifest that was chosen from it. An image that kept none, as those of S2I itself, is compared by its first layers.
 */
export function openBuilders(open: OpenRepository): CompareOrigin {
	const tips = cached((reference: ImageReference, signal) => findTip(open, reference, signal), formatReference);
	const images = new Map<string, Promise<Image>>();
	return async ({ name, digest }, image, signal) => {
		const location = parseImageLocation(name);
		const reference = movable(location);
		if (typeof reference === 'string') return { state: 'unknown', reason: `its builder ${name} ${reference}` };
		const tip = await tips(reference, signal);
		if (digest !== undefined) return (await tip.has(digest, signal)) ? fresh : staleAt(tip.digest);
		const platform = completePlatform(image.config.value, { os: 'linux', architecture: 'amd64' });
		const key = `${formatReference(reference)} ${formatPlatform(platform)}`;
		const opened = { source: open(reference.repository), reference: tip.digest, name };
		const found = images.get(key) ?? resolveImage(opened, platform, signal);
		images.set(key, found);
		const [below, above] = [diffIdsOf(await found), diffIdsOf(image)];
		return below.every((layer, index) => layer === above[index]) ? fresh : staleAt(tip.digest);
	};
}

const fresh: Standing = { state: 'fresh' };

function staleAt(now: Digest): Standing {
	return { state: 'stale', now };
}

/** What a name leads to. */
interface Tip {
	readonly digest: Digest;
	/** Whether an image made from `digest` is made from this. */
	readonly has: (digest: Digest, signal: AbortSignal) => Promise<boolean>;
}

async function findTip(open: OpenRepository, reference: ImageReference, signal: AbortSignal): Promise<Tip> {
	const repository = open(reference.repository);
	const { digest: now, mediaType } = await repository.resolve(reference.tag ?? 'latest', signal);
	let members: Promise<ReadonlySet<Digest>> | undefined;
	return {
		digest: now,
		has: async (digest, stop) => {
			if (digest === now || !isIndexType(mediaType)) return digest === now;
			members ??= membersOf(repository, now, stop, 0);
			return (await members).has(digest);
		},
	};
}

async function membersOf(
	repository: Repository,
	digest: Digest,
	signal: AbortSignal,
	depth: number,
): Promise<ReadonlySet<Digest>> {
	const document: Document<Manifest | Index> = await repository.manifest(digest, signal);
	const entries: readonly Descriptor[] = isIndex(document) ? document.value.manifests : [];
	const nested = entries.filter(({ mediaType }) => isIndexType(mediaType) && depth < MAX_NESTED_INDEXES);
	const below = await Promise.all(nested.map((entry) => membersOf(repository, entry.digest, signal, depth + 1)));
	return new Set([...entries.map((entry) => entry.digest), ...below.flatMap((each) => [...each])]);
}

/** The name, where it can lead to something else tomorrow; otherwise why it cannot, as the end of a sentence. */
function movable(location: ImageLocation): ImageReference | string {
	if (location.type !== 'registry') return 'is on no registry';
	return location.reference.digest === undefined ? location.reference : 'is named by its digest, which never moves on';
}

function cached<A, T>(
	find: (asked: A, signal: AbortSignal) => Promise<T>,
	keyOf: (asked: A) => string,
): (asked: A, signal: AbortSignal) => Promise<T> {
	const found = new Map<string, Promise<T>>();
	return (asked, signal) => {
		const key = keyOf(asked);
		const known = found.get(key) ?? find(asked, signal);
		found.set(key, known);
		return known;
	};
}

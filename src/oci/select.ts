import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import type { Descriptor, Platform } from './descriptor.js';
import type { Index } from './image.js';
import { isConfigType, isIndexType, isManifestType } from './media-types.js';
import { completePlatform, formatPlatform, platformRank } from './platform.js';

/** An entry of an index that may be the image for a host. */
export interface Candidate {
	readonly entry: Descriptor;
	/** Whether the index says for which platform it is; else only its config does. */
	readonly isNamed: boolean;
}

/**
 * The entries of `index` that may be the image for a host of platform `wanted`, the likeliest first: those for the best variant that it
 * can run, then those without a platform, of each kind what is called an artifact last. Attestations and unknown platforms are left
 * out, as is what no image can be.
 */
export function findCandidates(index: Index, wanted: Platform): readonly Candidate[] {
	const ranked = index.manifests.filter(isImageEntry).flatMap((entry) => {
		const isNamed = Boolean(entry.platform?.os) || Boolean(entry.platform?.architecture);
		const rank = isNamed ? platformRank(wanted, completePlatform(entry.platform ?? {}, wanted)) : -1;
		return rank === undefined ? [] : [{ entry, isNamed, rank, isArtifact: isArtifact(entry) }];
	});
	return ranked.sort((a, b) => Number(a.isArtifact) - Number(b.isArtifact) || b.rank - a.rank);
}

/** Whether `entry` may be an image at all, for whatever platform. */
export function isImageEntry(entry: Descriptor): boolean {
	const attests = entry.annotations?.['vnd.docker.reference.type'] !== undefined;
	const known = isManifestType(entry.mediaType) || isIndexType(entry.mediaType);
	return known && !attests && entry.platform?.os !== 'unknown' && entry.platform?.architecture !== 'unknown';
}

/** An IMAGE_PLATFORM error: `what` has nothing for a host of platform `wanted`. `others` says what was found instead, besides the platforms of `index`. */
export function noImage(index: Index, wanted: Platform, what: string, others: readonly string[] = []): BuildError {
	const platforms = index.manifests.filter(isImageEntry).flatMap(({ platform }) => {
		if (!platform?.os && !platform?.architecture) return [];
		return [formatPlatform({ ...platform, os: platform.os ?? '', architecture: platform.architecture ?? '' })];
	});
	const offered = redact([...new Set([...platforms, ...others])].slice(0, 40).join(', '));
	return new BuildError('IMAGE_PLATFORM', `${what} has no image for ${formatPlatform(wanted)}`, {
		hint: `It offers ${offered || 'no platform at all'}. Choose one with --platform.`,
	});
}

function isArtifact({ artifactType = '' }: Descriptor): boolean {
	return artifactType !== '' && !isConfigType(artifactType);
}

import { readBytes } from '../../content/verify.js';
import { BuildError, isBuildError } from '../../errors.js';
import type { Document, Platform } from '../../oci/descriptor.js';
import { type Image, type ImageConfig, type Index, imageFrom, type Manifest } from '../../oci/image.js';
import { isIndex, MAX_CONFIG_BYTES, parseConfig, requireImage } from '../../oci/manifest.js';
import { completePlatform, formatPlatform, isSaid, platformRank } from '../../oci/platform.js';
import { type Candidate, findCandidates, noImage } from '../../oci/select.js';
import { explainBare } from './bare-name.js';
import type { OpenedSource } from './open-image.js';

const MAX_NESTED_INDEXES = 3;
/** Of entries that say nothing of themselves, so many are looked at. */
const MAX_LOOKS = 32;

interface Search {
	readonly opened: OpenedSource;
	readonly platform: Platform;
	readonly signal: AbortSignal;
}

/** An image, and how well the host runs it. */
interface Found {
	readonly image: Image;
	readonly rank: number;
}

/**
 * The image that `opened` names for a host of `platform`, verified: one manifest request (two through an index) and the config; more only
 * where an index does not say what its entries are. A config without os and architecture is for `platform`, and the image's says so.
 * Throws IMAGE_PLATFORM when there is none that the host can run; what a registry refuses as {@link explainBare} tells it.
 */
export async function resolveImage(opened: OpenedSource, platform: Platform, signal: AbortSignal): Promise<Image> {
	const document = await opened.source.manifest(opened.reference, signal).catch((error: unknown) => {
		throw explainBare(error, opened.bare);
	});
	return (await findIn(document, { opened, platform, signal }, 0)).image;
}

function findIn(document: Document<Manifest | Index>, search: Search, depth: number): Promise<Found> {
	if (!isIndex(document)) return readImage(document as Document<Manifest>, search);
	if (depth === MAX_NESTED_INDEXES) throw tooDeep(search.opened.name);
	return findInIndex(document.value, search, depth + 1);
}

async function findInIndex(index: Index, search: Search, depth: number): Promise<Found> {
	const { opened, platform, signal } = search;
	const candidates = findCandidates(index, platform);
	const look = async ({ entry }: Candidate) =>
		findIn(await opened.source.manifest(entry.digest, signal), search, depth);
	const [only, ...more] = candidates;
	if (only === undefined) throw noImage(index, platform, opened.name);
	if (more.length === 0) return look(only);
	const unnamed: Found[] = [];
	const others: string[] = [];
	for (const candidate of candidates.slice(0, MAX_LOOKS)) {
		if (candidate.isNamed && unnamed.length > 0) break;
		try {
			const found = await look(candidate);
			if (candidate.isNamed) return found;
			unnamed.push(found);
		} catch (error) {
			if (!isBuildError(error, 'IMAGE_UNSUPPORTED', 'IMAGE_PLATFORM')) throw error;
			others.push(error.message);
		}
	}
	const [best] = unnamed.sort((a, b) => b.rank - a.rank);
	if (best === undefined) throw noImage(index, platform, opened.name, others);
	return best;
}

async function readImage(manifest: Document<Manifest>, { opened, platform, signal }: Search): Promise<Found> {
	const { source, name } = opened;
	// Before the config is fetched: that of an artifact may be anything.
	requireImage(manifest.value, name);
	const stream = await source.open(manifest.value.config, signal);
	const bytes = await readBytes(stream, MAX_CONFIG_BYTES, `the config of ${name}`);
	const config = parseConfig(bytes, manifest.value, name);
	const complete = completePlatform(config.value, platform);
	const rank = platformRank(platform, complete);
	if (rank !== undefined) return { image: imageFrom(manifest, withPlatform(config, complete)), rank };
	throw new BuildError('IMAGE_PLATFORM', `${name} is an image for ${formatPlatform(complete)}`, {
		hint: `It was needed for ${formatPlatform(platform)}; choose another image, or say otherwise with --platform.`,
	});
}

/** What the config does not say is added to its value: what is built upon it runs on this platform and no other. */
function withPlatform(config: Document<ImageConfig>, complete: Platform): Document<ImageConfig> {
	const { os, architecture } = config.value;
	if (isSaid(os) && isSaid(architecture)) return config;
	const rest = isSaid(architecture) ? {} : complete;
	return { ...config, value: { ...config.value, os: isSaid(os) ? os : complete.os, ...rest } };
}

function tooDeep(name: string): BuildError {
	return new BuildError('IMAGE_INVALID', `${name} is an index of an index of an index`, {
		hint: 'Name the image itself, by its digest.',
	});
}

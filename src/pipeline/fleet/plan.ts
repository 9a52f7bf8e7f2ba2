import { type ErrorCode, isBuildError } from '../../errors.js';
import type { Platform } from '../../oci/descriptor.js';
import type { Digest } from '../../oci/digest.js';
import type { Image } from '../../oci/image.js';
import { isIndex } from '../../oci/manifest.js';
import { formatReference, formatRepository, type ImageReference, parseReference } from '../../oci/reference.js';
import { isImageEntry } from '../../oci/select.js';
import { redact, redactWord } from '../../redact.js';
import type { OpenRepository, Registries } from '../../registry/registries.js';
import type { Emit } from '../events.js';
import { resolveImage } from '../images/resolve-image.js';
import { type NetworkRequest, openNetwork } from '../network.js';
import { type CompareOrigin, openBuilders } from './builders.js';
import { originsOf } from './origins.js';
import { inParallel } from './parallel.js';

/** Which images are looked at. */
export interface FleetRequest {
	readonly network: NetworkRequest;
	/** Whose variant of a multi-platform image is looked at. */
	readonly platform: Platform;
	/** Images on registries, as people and clusters name them; what is no name is told of, and stops nothing. */
	readonly names: readonly string[];
	/** Repositories of which every tag is looked at. */
	readonly repositories: readonly string[];
}

/** What is known of one image of a fleet. `--json` prints these, so it is documented API (docs/fleet.md). */
export interface FleetImage {
	/** The image's name in full, as `s2oci rebuild` takes it; as it was given when it is no name. */
	readonly image: string;
	/** `stale` when something that it was made from has moved on; `unknown` when that cannot be told. */
	readonly state: 'fresh' | 'stale' | 'unknown';
	/** Manifest digest of the image. */
	readonly digest?: Digest;
	/** What it was made from: the builder, then the runtime image. `now` is there for what has moved on. */
	readonly madeFrom?: readonly { readonly name: string; readonly digest?: Digest; readonly now?: Digest }[];
	/** Why it cannot be told, or cannot be built again. */
	readonly reason?: string;
	/** Where looking at it failed: a code of docs/errors.md. */
	readonly code?: ErrorCode;
	/** Whether `s2oci rebuild` brings it up to date: only ever true of stale ones. */
	readonly rebuild: boolean;
}

/** Signatures and the like by the tags of cosign and of the referrers tag schema (distribution-spec v1.1). */
const BESIDE = /^sha256-[0-9a-f]{64}(?:\.|$)/;
const AT_ONCE = 16;

/**
 * Looks at each image once: at its manifest and config, and once at each distinct builder. Images keep the order in which they were named,
 * then that of their repositories. A look that fails makes that image `unknown`; only an abort rejects.
 */
export async function planFleet(
	request: FleetRequest,
	emit: Emit,
	signal: AbortSignal,
): Promise<readonly FleetImage[]> {
	await using network = openNetwork(request.network, emit);
	const { registries } = network;
	const named = [...request.names, ...(await tagsOf(request.repositories, registries, signal))];
	const look: Look = { ...request, open: registries.open, compare: openBuilders(registries.open) };
	const seen = new Map<string, FleetImage>();
	await inParallel(AT_ONCE, named, async (name) => {
		const asked = typeof name === 'string' ? readName(name) : name;
		const key = 'state' in asked ? asked.image : formatReference(asked);
		if (seen.has(key)) return;
		seen.set(key, 'state' in asked ? asked : { image: key, state: 'unknown', rebuild: false });
		if (!('state' in asked)) seen.set(key, await lookAt(asked, key, look, signal));
	});
	return [...seen.values()];
}

interface Look extends Pick<FleetRequest, 'platform'> {
	readonly open: OpenRepository;
	readonly compare: CompareOrigin;
}

async function lookAt(reference: ImageReference, name: string, look: Look, signal: AbortSignal): Promise<FleetImage> {
	try {
		return await compareNow(reference, name, look, signal);
	} catch (error) {
		signal.throwIfAborted();
		return failed(name, error);
	}
}

async function compareNow(
	reference: ImageReference,
	name: string,
	{ platform, open, compare }: Look,
	signal: AbortSignal,
): Promise<FleetImage> {
	const { repository, tag, digest } = reference;
	const source = open(repository);
	let variants = 1;
	const counting: typeof source = {
		...source,
		manifest: async (asked, stop) => {
			const document = await source.manifest(asked, stop);
			if (isIndex(document)) variants = Math.max(variants, document.value.manifests.filter(isImageEntry).length);
			return document;
		},
	};
	const image = await resolveImage({ source: counting, reference: digest ?? tag ?? 'latest', name }, platform, signal);
	const compared = await compareAll(image, name, compare, signal);
	if (compared.state !== 'stale') return compared;
	const reason = obstacleOf(reference, variants) ?? compared.reason;
	return reason === undefined ? { ...compared, rebuild: true } : { ...compared, reason };
}

function obstacleOf({ digest }: ImageReference, variants: number): string | undefined {
	if (digest !== undefined) return 'it is named by its digest, which what is rebuilt has not';
	return variants > 1 ? 'it is for several platforms, and what is rebuilt is for one' : undefined;
}

async function compareAll(
	image: Image,
	name: string,
	compare: CompareOrigin,
	signal: AbortSignal,
): Promise<FleetImage> {
	const { origins, obstacle } = originsOf(image, name);
	const standings = await Promise.all(
		origins.map(async (origin) => ({ origin, standing: await compare(origin, image, signal) })),
	);
	const madeFrom = standings.map(({ origin, standing }) => ({
		name: redact(origin.name),
		...(origin.digest !== undefined && { digest: origin.digest }),
		...(standing.state === 'stale' && { now: standing.now }),
	}));
	const all = { image: name, digest: image.manifest.descriptor.digest, madeFrom, rebuild: false };
	if (madeFrom.some(({ now }) => now !== undefined)) {
		return { ...all, state: 'stale', ...(obstacle !== undefined && { reason: obstacle }) };
	}
	const unsure = standings.find(({ standing }) => standing.state === 'unknown')?.standing;
	return unsure?.state === 'unknown'
		? { ...all, state: 'unknown', reason: redact(unsure.reason) }
		: { ...all, state: 'fresh' };
}

async function tagsOf(
	repositories: readonly string[],
	registries: Registries,
	signal: AbortSignal,
): Promise<readonly (ImageReference | FleetImage)[]> {
	const lists = await inParallel(AT_ONCE, repositories, async (text) => {
		const asked = readName(text);
		if ('state' in asked) return [asked];
		const { repository } = asked;
		try {
			const tags = await registries.open(repository).tags(signal);
			return tags.filter((tag) => !BESIDE.test(tag)).map((tag): ImageReference => ({ repository, tag }));
		} catch (error) {
			signal.throwIfAborted();
			return [failed(formatRepository(repository), error)];
		}
	});
	return lists.flat();
}

function readName(text: string): ImageReference | FleetImage {
	try {
		return parseReference(text.replace(/^docker:\/\//, ''));
	} catch (error) {
		return failed(redactWord(text).replace(/\s+/g, ' ').slice(0, 200), error);
	}
}

function failed(image: string, error: unknown): FleetImage {
	if (!isBuildError(error)) throw error;
	return { image, state: 'unknown', code: error.code, reason: redact(error.message), rebuild: false };
}

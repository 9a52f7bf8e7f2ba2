import { attempt, BuildError } from '../errors.js';
import { redact } from '../redact.js';
import type { Descriptor, Document, Platform } from './descriptor.js';
import { document, type ImageConfig, type Index, type Manifest } from './image.js';
import { DOCKER_INDEX, familyOf, OCI_INDEX } from './media-types.js';
import { completePlatform, formatPlatform, isSaid, parsePlatform, platformRank } from './platform.js';

/** An image that an index is to name; `name` is for messages. */
export interface IndexMember {
	readonly name: string;
	readonly manifest: Document<Manifest>;
	readonly config: Document<ImageConfig>;
}

/** What an index says of where an image runs (image-spec v1.1 image-index.md). */
interface IndexPlatform extends Platform {
	readonly 'os.version'?: string;
}

/**
 * The index of `members`, in their order, each with the platform that its config says: a Docker manifest list when all of them are Docker
 * images and there are no `annotations`, which such a list cannot have; else an OCI index. Equal input gives equal bytes. Throws
 * IMAGE_INVALID for a config without a platform, and USAGE for two members of one platform.
 */
export function makeIndex(
	members: readonly IndexMember[],
	annotations: Readonly<Record<string, string>> = {},
): Document<Index> {
	const platforms = members.map(platformOf);
	for (const [at, platform] of platforms.entries()) {
		const before = platforms.slice(0, at).findIndex((other) => isSame(platform, other));
		const [first, second] = [members[before], members[at]];
		if (first !== undefined && second !== undefined) throw twice(first, second, platform);
	}
	const manifests = members.map(({ manifest }, at) => entryOf(manifest.descriptor, platforms[at]));
	const isAnnotated = Object.keys(annotations).length > 0;
	const isDocker = members.every(({ manifest }) => familyOf(manifest.descriptor.mediaType) === 'docker');
	const mediaType = isDocker && !isAnnotated ? DOCKER_INDEX : OCI_INDEX;
	return document({ schemaVersion: 2, mediaType, manifests, ...(isAnnotated && { annotations }) }, mediaType);
}

/** The platform of `member` as its config says, in the usual spelling. Throws IMAGE_INVALID. */
export function platformOf({ name, config: { value } }: Pick<IndexMember, 'name' | 'config'>): IndexPlatform {
	const { os, architecture } = value;
	if (!isSaid(os) || !isSaid(architecture)) throw withoutPlatform(name, 'says no os or no architecture');
	const platform = completePlatform(value, { os, architecture });
	const read = attempt(() => parsePlatform(formatPlatform(platform)));
	// A part with a slash in it would be read as two.
	if (read?.os !== platform.os || read.architecture !== platform.architecture) {
		const shown = JSON.stringify(redact(formatPlatform(platform)).slice(0, 100));
		throw withoutPlatform(name, `says ${shown}, which is no platform`);
	}
	const version = value['os.version'];
	return typeof version === 'string' && version !== '' ? { ...platform, 'os.version': version } : platform;
}

function entryOf({ mediaType, digest, size }: Descriptor, platform: IndexPlatform | undefined): Descriptor {
	const { os = '', architecture = '', variant, 'os.version': version } = platform ?? {};
	const more = { ...(variant && { variant }), ...(version && { 'os.version': version }) };
	return { mediaType, digest, size, platform: { architecture, os, ...more } };
}

/** Two images that the same hosts would choose. */
function isSame(one: IndexPlatform, other: IndexPlatform): boolean {
	const runsBoth = platformRank(one, other) !== undefined && platformRank(other, one) !== undefined;
	return runsBoth && one['os.version'] === other['os.version'];
}

function withoutPlatform(name: string, why: string): BuildError {
	return new BuildError('IMAGE_INVALID', `${name} cannot be in an index: its config ${why}`, {
		hint: 'Build it again, with --platform OS/ARCH where its builder image does not say either.',
	});
}

function twice(first: IndexMember, second: IndexMember, platform: Platform): BuildError {
	const message = `${first.name} and ${second.name} are both for ${formatPlatform(platform)}`;
	return new BuildError('USAGE', message, { hint: 'Name one image for each platform.' });
}

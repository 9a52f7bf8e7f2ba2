import { Readable } from 'node:stream';
import { readBytes } from '../../content/verify.js';
import { BuildError } from '../../errors.js';
import type { Document } from '../../oci/descriptor.js';
import { type Image, type Index, imageFrom, type Manifest } from '../../oci/image.js';
import { type IndexMember, makeIndex, platformOf } from '../../oci/make-index.js';
import { isIndex, MAX_CONFIG_BYTES, parseConfig, requireImage } from '../../oci/manifest.js';
import { formatPlatform } from '../../oci/platform.js';
import { formatReference, formatRepository, type ImageReference, type RepositoryName } from '../../oci/reference.js';
import type { Registries } from '../../registry/registries.js';
import type { Repository } from '../../registry/repository.js';
import type { Emit } from '../events.js';
import { moveLayers } from '../images/transfer.js';
import { type NetworkRequest, openNetwork } from '../network.js';
import { type BuildRecord, createRecord } from '../record.js';

/** What making an index is told. */
export interface IndexRequest {
	readonly network: NetworkRequest;
	/** The name that the index gets; without a digest. */
	readonly name: ImageReference;
	/** Images on the registry of `name`, in the order of the index. */
	readonly members: readonly ImageReference[];
	readonly annotations: Readonly<Record<string, string>>;
}

interface Found extends IndexMember {
	readonly image: Image;
	readonly source: Repository;
}

const MAX_SHOWN = 10;

/**
 * Pushes the index of `members` under `name`; resolves with `NAME@DIGEST`. Members of other repositories of the registry are mounted or
 * copied into that of `name` first, as an index can only name what lies beside it; of the others only manifest and config are read. Throws
 * USAGE for members on another registry and for two of one platform, IMAGE_UNSUPPORTED for an index, IMAGE_INVALID for an image that says
 * no platform, and what registries answer.
 */
export async function createIndex(request: IndexRequest, emit: Emit, signal: AbortSignal): Promise<string> {
	const { name, members, annotations } = request;
	for (const member of members) checkRegistry(member, name);
	await using network = openNetwork(request.network, emit);
	const record = createRecord(emit);
	const found = await Promise.all(members.map((member) => readMember(member, network.registries, signal)));
	const index = makeIndex(found, annotations);
	const target = network.registries.open(name.repository);
	for (const member of found) {
		const { digest } = member.manifest.descriptor;
		record.emit({ type: 'log', level: 1, message: `${formatPlatform(platformOf(member))} ${digest}` });
		if (!isSameRepository(member.source.name, name.repository)) await copyImage(member, target, record, signal);
	}
	await target.putManifest(index, name.tag, signal);
	return `${formatReference(name)}@${index.descriptor.digest}`;
}

function checkRegistry({ repository }: ImageReference, { repository: { registry } }: ImageReference): void {
	if (repository.registry === registry) return;
	throw new BuildError('USAGE', `${formatRepository(repository)} is not on ${registry}, where the index goes`, {
		hint: `Push or copy the image to ${registry} first: an index can only name what lies beside it.`,
	});
}

async function readMember(reference: ImageReference, registries: Registries, signal: AbortSignal): Promise<Found> {
	const name = formatReference(reference);
	const source = registries.open(reference.repository);
	const found = await source.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
	if (isIndex(found)) throw nested(name, found.value);
	const manifest = found as Document<Manifest>;
	// Before the config is fetched: that of an artifact may be anything.
	requireImage(manifest.value, name);
	const stream = await source.open(manifest.value.config, signal);
	const bytes = await readBytes(stream, MAX_CONFIG_BYTES, `the config of ${name}`);
	const config = parseConfig(bytes, manifest.value, name);
	return { name, manifest, config, source, image: imageFrom(manifest, config) };
}

async function copyImage(
	{ image, source }: Found,
	target: Repository,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<void> {
	const { config, manifest } = image;
	const opened = { target, tag: undefined, name: formatRepository(target.name), done: 'pushed' } as const;
	await moveLayers(image, source, [opened], { record, scratch: '' }, signal);
	const content = () => Promise.resolve(Readable.from([config.bytes], { objectMode: false }));
	if (!(await target.has(config.descriptor, signal))) await target.put(config.descriptor, content, signal);
	await target.putManifest(manifest, undefined, signal);
}

function isSameRepository(one: RepositoryName, other: RepositoryName): boolean {
	return formatRepository(one) === formatRepository(other);
}

function nested(name: string, { manifests }: Index): BuildError {
	const digests = manifests.slice(0, MAX_SHOWN).map(({ digest }) => digest);
	const more = manifests.length > MAX_SHOWN ? ` and ${manifests.length - MAX_SHOWN} more` : '';
	return new BuildError('IMAGE_UNSUPPORTED', `${name} is an index itself, which no index should have in it`, {
		hint: `Name its images by their digests: ${digests.join(' ')}${more}.`,
	});
}

import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { isBuildError } from '../../errors.js';
import { listOthers, type StorePart } from '../../host/store-others.js';
import { type Digest, isDigest } from '../../oci/digest.js';
import type { Pruned, PrunePolicy, StoredLayer } from '../../protocol/worker-calls.js';
import { pruneUnpushed } from '../push/unpushed.js';
import type { HostRequest } from '../request.js';
import { openSession, type Session } from '../session.js';
import { settleStore } from './settle-store.js';

/** An image whose manifest and config are remembered, so that its registry need not be asked. */
export interface RecordedImage {
	/** The reference in full. */
	readonly name: string;
	readonly platform: string;
	/** Of what the reference named. */
	readonly digest: Digest;
	readonly diffIds: readonly Digest[];
	/** In ms since 1970. */
	readonly recorded: number;
}

/** A layer, with the recorded images that are made of it. */
export interface ListedLayer extends StoredLayer {
	/** Whether a running build uses it. */
	readonly held: boolean;
	readonly images: readonly string[];
}

/** What is in the store. Sizes are what the disk gives for it, in bytes. */
export interface StoreListing {
	readonly store: string;
	/** Whether there is a directory; without one all else is empty, and the first build makes it. */
	readonly exists: boolean;
	/** Most recently used first. */
	readonly layers: readonly ListedLayer[];
	readonly images: readonly RecordedImage[];
	readonly others: readonly StorePart[];
	readonly bytes: number;
}

const MAX_RECORD_BYTES = 64 * 2 ** 20;
const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value));
const recordSchema = v.object({
	name: v.string(),
	platform: v.string(),
	manifests: v.pipe(v.array(v.object({ digest })), v.minLength(1)),
	config: v.object({ content: v.string() }),
});
const configSchema = v.object({ rootfs: v.object({ diff_ids: v.array(digest) }) });

/**
 * What is in the store of `asked`, which is not made when it does not exist. Some of its files only a worker may see, so one is started:
 * throws HOST_NO_NAMESPACES and HOST_STORE.
 */
export async function listStore(asked: HostRequest, signal: AbortSignal): Promise<StoreListing> {
	const request = settleStore(asked);
	const { store } = request;
	if (!existsSync(store)) return { store, exists: false, layers: [], images: [], others: [], bytes: 0 };
	const others = await listOthers(store);
	const images = await listImages(store);
	await using session = await openStoreSession(request, signal);
	const worker = await session.worker;
	const { layers, held } = await worker.call('listLayers', {});
	const listed = layers.map((layer) => ({
		...layer,
		held: held.includes(layer.path),
		images: images.filter(({ diffIds }) => diffIds.includes(layer.diffId)).map(({ name }) => name),
	}));
	const bytes = [...layers, ...others].reduce((sum, each) => sum + each.bytes, 0);
	const sorted = listed.toSorted((a, b) => b.lastUsed - a.lastUsed);
	return { store, exists: true, layers: sorted, images, others, bytes };
}

/**
 * A session that does no more than look after the store, in the namespaces that builds would get; where there are none it is in place. Its
 * worker is ready. Throws what starting it throws.
 */
export async function openStoreSession(request: HostRequest, signal: AbortSignal): Promise<Session> {
	const nothing = () => undefined;
	const open = (rootfs: HostRequest['rootfs']) =>
		openSession({ ...request, rootfs }, { streams: 'forward', onEvent: nothing, emit: nothing }, signal);
	const session = await open('copy');
	try {
		await session.worker;
		return session;
	} catch (error) {
		await session[Symbol.asyncDispose]();
		if (!isBuildError(error, 'HOST_NO_NAMESPACES')) throw error;
		return open('in-place');
	}
}

async function listImages(store: string): Promise<readonly RecordedImage[]> {
	const directory = join(store, 'images');
	const names = await readdir(directory).catch(() => []);
	const images = await Promise.all(
		names.filter((name) => name.endsWith('.json')).map((name) => readRecord(join(directory, name))),
	);
	return images.filter((image) => image !== undefined).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Undefined for what no build would use. */
async function readRecord(path: string): Promise<RecordedImage | undefined> {
	try {
		const { mtimeMs, size } = await stat(path);
		if (size > MAX_RECORD_BYTES) return undefined;
		const { name, platform, manifests, config } = v.parse(recordSchema, JSON.parse(await readFile(path, 'utf8')));
		const { rootfs } = v.parse(configSchema, JSON.parse(Buffer.from(config.content, 'base64').toString('utf8')));
		const [first] = manifests;
		return first && { name, platform, digest: first.digest, diffIds: rootfs.diff_ids, recorded: mtimeMs };
	} catch {
		return undefined;
	}
}

export type { PrunePolicy } from '../../protocol/worker-calls.js';

/** What `s2oci prune` is told. */
interface PruneRequest extends HostRequest {
	readonly policy: PrunePolicy;
	/** Only tells what would go. */
	readonly dryRun: boolean;
}

/** What became of the store at the path `store`. */
export interface PrunedStore extends Pruned {
	readonly store: string;
	/** Whether there is a directory; without one there was nothing to remove. */
	readonly exists: boolean;
	/** Images that were kept because their push had failed, by their names in the store. */
	readonly unpushed: readonly string[];
}

const NOTHING: Pruned = { removed: [], kept: [], held: [], foreign: [] };

/**
 * Removes layers that no running build uses and `policy` does not spare, and what builds that were killed left, from the store; builds may
 * go on meanwhile. It works in a worker, as files of subordinate ids can only be removed there. Throws HOST_NO_NAMESPACES, HOST_STORE.
 */
export async function prune(asked: PruneRequest, signal: AbortSignal): Promise<PrunedStore> {
	const request = settleStore(asked);
	const { store, policy, dryRun } = request;
	if (!existsSync(store)) return { store, exists: false, unpushed: [], ...NOTHING };
	await using session = await openStoreSession(request, signal);
	const worker = await session.worker;
	const pruned = await worker.call('pruneLayers', { policy, dryRun });
	return { store, exists: true, unpushed: await pruneUnpushed(store, policy, dryRun), ...pruned };
}

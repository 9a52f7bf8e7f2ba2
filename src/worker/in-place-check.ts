import { constants, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { BuildError, errnoOf } from '../errors.js';
import type { Digest } from '../oci/digest.js';
import { fsPath, isBelowAny, joinRaw, printablePath, type RawPath, type RootPath } from '../root-path.js';
import { digestFile, type LayerDigests, readLayerDigests } from '../rootfs/layer-digests.js';
import { hashOf } from '../rootfs/layer-lookup.js';
import type { LayerStore } from '../rootfs/layer-store.js';
import { type BaseEntry, mergeLayers, type WholeTree } from '../rootfs/merge.js';
import type { Stamp } from '../rootfs/stamps.js';
import { KERNEL_DIRECTORIES } from '../sandbox/kernel-paths.js';

/** An image as its layers declare it. */
export interface DeclaredImage {
	readonly base: WholeTree;
	/** Of each layer, lowest first. */
	readonly digests: readonly LayerDigests[];
}

export interface CheckOptions {
	/** Files of which every one that the image has is compared. */
	readonly always: readonly RootPath[];
	/** Paths that may differ, with all below them. */
	readonly foreign: ReadonlySet<RootPath>;
	/** Where the image should be. */
	readonly root: RawPath;
}

/** Reads what the store, which holds indexes only, has of the layers `diffIds`, lowest first. Throws HOST_STORE. */
export function readDeclaredImage(diffIds: readonly Digest[], layers: LayerStore): DeclaredImage {
	const indexes = diffIds.map((diffId) => required(layers.readIndex(diffId), diffId));
	const digests = diffIds.map((diffId) => required(readLayerDigests(dirname(layers.rootOf(diffId))), diffId));
	return { base: mergeLayers(indexes.map(({ entries }) => entries)), digests };
}

const SAMPLES = 64;
/** Any number: the same files are compared each time. */
const ORDER = 0x811c_9dc5;
const MAX_SIZE = 64 * 2 ** 20;
const MAX_NAMED = 3;
/** Nanoseconds. */
const SECOND = 1_000_000_000n;
const ALWAYS: readonly string[] = ['etc/os-release', 'usr/lib/os-release'];
/** What container runtimes and platforms write. */
const REWRITTEN: ReadonlySet<string> = new Set([
	...['etc/hosts', 'etc/resolv.conf', 'etc/hostname', 'etc/mtab', 'etc/passwd', 'etc/group'],
	...[...KERNEL_DIRECTORIES, 'run', '.dockerenv'],
]);

/**
 * Whether `root` is the file system of the image: compares size and content of os-release, of the files `always` and of 64 others, chosen
 * by the hashes of their paths, of those that this user may read. Returns how many were compared. Throws HOST_NOT_BUILDER that names up
 * to three paths which differ.
 */
export async function checkImage(image: DeclaredImage, options: CheckOptions, signal: AbortSignal): Promise<number> {
	const wanted = new Set<RootPath>([...ALWAYS, ...options.always] as RootPath[]);
	const differing: RootPath[] = [];
	let compared = 0;
	for (const path of candidates(image.base, wanted, options.foreign)) {
		if (!wanted.has(path) && compared >= SAMPLES + wanted.size) break;
		await pause();
		signal.throwIfAborted();
		const same = compare(path, image, options.root);
		if (same !== undefined) compared++;
		if (same === false) differing.push(path);
	}
	if (differing.length > 0)
		throw notBuilder(`${namesOf(differing, MAX_NAMED)} ${differing.length === 1 ? 'is' : 'are'} not as in it`);
	if (compared === 0) throw notBuilder('there is no file that can be compared');
	return compared;
}

/**
 * Whether what was at `path` below `root` when `stamp` was taken is what the image has there. The content of a file is read only where its
 * time of writing is not that of the image.
 */
export function isImages(path: RootPath, stamp: Stamp, image: DeclaredImage, root: RawPath): boolean {
	const declared = image.base.get(path)?.entry;
	if (declared === undefined) return false;
	const isFile = (Number(stamp.mode) & constants.S_IFMT) === constants.S_IFREG;
	if (declared.type !== 'file' || !isFile) return declared.type !== 'file' && !isFile;
	if (BigInt(declared.size) !== stamp.size) return false;
	return BigInt(Math.floor(declared.mtime)) === stamp.modified / SECOND || compare(path, image, root) === true;
}

/** HOST_NOT_BUILDER: the job does not run in the image. `why` ends the sentence. */
export function notBuilder(why: string): BuildError {
	return new BuildError('HOST_NOT_BUILDER', `this container does not run the builder image: ${why}`, {
		hint: 'Use the builder image, by its digest, as the image of this job.',
	});
}

/** The wanted files first, then all others in an order that looks like chance and is always the same. */
function candidates(
	base: WholeTree,
	wanted: ReadonlySet<RootPath>,
	foreign: ReadonlySet<RootPath>,
): readonly RootPath[] {
	const files = [...base].filter(([path, { entry }]) => isComparable(path, entry, foreign)).map(([path]) => path);
	const others = files.filter((path) => !wanted.has(path)).map((path) => [hashOf(path, ORDER), path] as const);
	others.sort(([a, one], [b, other]) => a - b || (one < other ? -1 : 1));
	return [...files.filter((path) => wanted.has(path)), ...others.map(([, path]) => path)];
}

function isComparable(path: RootPath, entry: BaseEntry['entry'], foreign: ReadonlySet<RootPath>): boolean {
	const isForeign = isBelowAny(path, foreign) || isBelowAny(path, REWRITTEN);
	return entry.type === 'file' && entry.size <= MAX_SIZE && !isForeign;
}

/** Undefined when this user cannot tell. */
function compare(path: RootPath, { base, digests }: DeclaredImage, root: RawPath): boolean | undefined {
	const declared = base.get(path);
	if (declared?.entry.type !== 'file') return undefined;
	const disk = joinRaw(root, path);
	try {
		const stats = lstatSync(fsPath(disk));
		if (!stats.isFile() || stats.size !== declared.entry.size) return false;
		return digestFile(disk) === digests[declared.layer]?.get(path);
	} catch (error) {
		if (errnoOf(error) === 'EACCES') return undefined;
		if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return false;
		throw error;
	}
}

/** The first `most` of `paths`, and how many more there are, for a message. */
export function namesOf(paths: readonly RootPath[], most: number): string {
	const named = paths.slice(0, most).map((path) => `/${printablePath(path)}`);
	const more = paths.length - named.length;
	return more === 0 ? named.join(', ') : `${named.join(', ')} and ${more} more`;
}

function required<T>(found: T | undefined, diffId: Digest): T {
	if (found !== undefined) return found;
	throw new BuildError('HOST_STORE', `the index of layer ${diffId} in the store is damaged`, {
		hint: 'Remove the store and build again, or name another place with --store DIR.',
	});
}

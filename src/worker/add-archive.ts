import { createReadStream, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, isBuildError, messageOf } from '../errors.js';
import { removeTree } from '../remove-tree.js';
import type { RawPath, RootPath } from '../root-path.js';
import { fsPath, joinRaw, latin1Path, nameOf, printablePath, rawPath } from '../root-path.js';
import type { Owner } from '../rootfs/owner.js';
import type { LayerEntry } from '../rootfs/tree.js';
import { unpackLayer } from '../rootfs/unpack.js';
import { type Compression, decompress } from '../tar/decompress.js';
import { BLOCK_SIZE } from '../tar/entry.js';
import { checkHeader } from '../tar/header.js';
import { type CopyTarget, createCopier } from './copy-tree.js';

/** An archive, or a file that may be one, and the directory that it goes into. */
export interface Archive {
	readonly source: RawPath;
	/** Of the root filesystem. */
	readonly destination: RawPath;
	/** Private directory of the build. */
	readonly scratch: string;
}

const MAX_BYTES = 8 * 2 ** 30;
const MAGIC: readonly (readonly [format: Compression | 'bzip2' | 'xz', bytes: string])[] = [
	['gzip', '\x1f\x8b\x08'],
	['zstd', '\x28\xb5\x2f\xfd'],
	['bzip2', 'BZh'],
	['xz', '\xfd7zXZ\0'],
];

/**
 * Unpacks a tar, plain or compressed by gzip or zstd, as ADD does, and returns what of it could not be made; undefined when it is no
 * tar. It is unpacked where nothing else is, so that none of its names and links leads anywhere, and copied from there. Owners are
 * those of the archive unless `owner` is given. Throws SOURCE_INVALID for damaged ones and for bzip2 and xz.
 */
export async function addArchive(
	{ source, destination, scratch }: Archive,
	target: CopyTarget,
	owner: Owner | undefined,
	signal: AbortSignal,
): Promise<readonly RootPath[] | undefined> {
	const format = await readFormat(source, scratch, signal);
	if (format === undefined) return undefined;
	const directory = mkdtempSync(join(scratch, 'archive-'));
	try {
		const root = rawPath(directory);
		const tar = decompress(format, read(source), join(scratch, 'archive-spool'), signal);
		const { ids, libc } = target;
		const { entries } = await unpackLayer(tar, { root, ids, libc, maxBytes: MAX_BYTES }, signal);
		const owners = owner === undefined ? ownersOf(root, entries) : undefined;
		const ownerOf = (path: RawPath) => owner ?? owners?.get(path) ?? { uid: 0, gid: 0 };
		const copier = createCopier(target, { ownerOf, mode: undefined }, signal);
		await copier.contents(root, copier.directory(destination));
		return copier.skipped();
	} catch (error) {
		throw isBuildError(error, 'LAYER_INVALID', 'LAYER_UNSAFE') ? damaged(source, error) : error;
	} finally {
		removeTree(rawPath(directory));
	}
}

function ownersOf(root: RawPath, entries: Iterable<readonly [RootPath, LayerEntry]>): ReadonlyMap<RawPath, Owner> {
	const owners = new Map<RawPath, Owner>();
	for (const [path, entry] of entries) {
		if (entry.type !== 'whiteout') owners.set(joinRaw(root, path), { uid: entry.uid, gid: entry.gid });
	}
	return owners;
}

/** How the tar `source` is compressed; undefined when it holds no tar. */
async function readFormat(source: RawPath, scratch: string, signal: AbortSignal): Promise<Compression | undefined> {
	const start = (await firstBytes(read(source), 8)).toString('latin1');
	const format = MAGIC.find(([, bytes]) => start.startsWith(bytes))?.[0] ?? 'none';
	if (format === 'bzip2' || format === 'xz') {
		throw new BuildError('SOURCE_INVALID', `ADD cannot unpack "${shownName(source)}": it is compressed by ${format}`, {
			hint: 'Compress it with gzip or zstd.',
		});
	}
	try {
		const spool = join(scratch, 'archive-spool');
		const header = await firstBytes(decompress(format, read(source), spool, signal), BLOCK_SIZE);
		if (header.length < BLOCK_SIZE) return undefined;
		checkHeader(header);
		return format;
	} catch (error) {
		if (isBuildError(error, 'LAYER_INVALID')) return undefined;
		throw error;
	}
}

async function firstBytes(chunks: AsyncIterable<Buffer>, size: number): Promise<Buffer> {
	const parts: Buffer[] = [];
	let found = 0;
	for await (const chunk of chunks) {
		parts.push(Buffer.from(chunk));
		found += chunk.length;
		if (found >= size) break;
	}
	return Buffer.concat(parts).subarray(0, size);
}

function read(path: RawPath): AsyncIterable<Buffer> {
	return createReadStream(fsPath(path)) as AsyncIterable<Buffer>;
}

function shownName(path: RawPath): string {
	return printablePath(latin1Path(nameOf(path)));
}

function damaged(source: RawPath, cause: unknown): BuildError {
	return new BuildError('SOURCE_INVALID', `ADD cannot unpack "${shownName(source)}": ${messageOf(cause)}`, {
		hint: 'Make the archive anew, or leave it out of the source.',
		cause,
	});
}

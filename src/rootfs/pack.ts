import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { BuildError, errnoOf } from '../errors.js';
import { type Digest, finishDigest } from '../oci/digest.js';
import { fsPath, joinRaw, printablePath, type RawPath, ROOT } from '../root-path.js';
import type { TarEntry } from '../tar/entry.js';
import { createGzipWriter } from '../tar/gzip.js';
import { paddingOf, TAR_END, writeHeader } from '../tar/writer.js';
import type { Change } from './tree.js';
import { whiteoutOf } from './whiteout.js';

/** A layer blob that was written; sizes in bytes. */
export interface PackedLayer {
	readonly digest: Digest;
	readonly diffId: Digest;
	readonly size: number;
}

const BUFFER = 256 * 1024;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const WHITEOUT: TarEntry = {
	type: 'file',
	path: '',
	linkPath: '',
	mode: 0o644,
	uid: 0,
	gid: 0,
	size: 0,
	mtime: 0,
	deviceMajor: 0,
	deviceMinor: 0,
	xattrs: NO_XATTRS,
};
const O_READ = constants.O_RDONLY | constants.O_NOFOLLOW;

/**
 * Writes `changes`, with the file contents below `root`, as a gzip layer to the open file `output`: tar, sha256, gzip, sha256 and write
 * in one pass. Times later than `epoch` (seconds) become `epoch`. Throws HOST_NO_SPACE.
 */
export async function packLayer(
	changes: readonly Change[],
	root: RawPath,
	output: number,
	options: { readonly epoch: number; readonly progress: (bytes: number) => void },
	signal: AbortSignal,
): Promise<PackedLayer> {
	const blob = createHash('sha256');
	const tar = createHash('sha256');
	let size = 0;
	const gzip = createGzipWriter((chunk) => {
		blob.update(chunk);
		size += chunk.length;
		writeFully(output, chunk);
	});
	const sink = bufferedSink(async (chunk) => {
		signal.throwIfAborted();
		tar.update(chunk);
		options.progress(chunk.length);
		await gzip.write(chunk);
	});
	for (const change of changes) {
		if (change.path === ROOT && change.type === 'remove') continue;
		await sink.write(writeHeader(tarEntry(change, options.epoch)));
		if (change.type === 'put' && change.entry.type === 'file' && change.entry.linkOf === undefined) {
			await copyFile(joinRaw(root, change.path), change.entry.size, sink);
			await sink.write(Buffer.alloc(paddingOf(change.entry.size)));
		}
	}
	await sink.write(TAR_END);
	await sink.flush();
	await gzip.end();
	return { digest: finishDigest(blob), diffId: finishDigest(tar), size };
}

function tarEntry(change: Change, epoch: number): TarEntry {
	if (change.type === 'remove') return { ...WHITEOUT, path: whiteoutOf(change.path) };
	const { entry, path } = change;
	const { mode, uid, gid, xattrs = NO_XATTRS } = entry;
	const common = { ...WHITEOUT, path, mode, uid, gid, xattrs, mtime: Math.min(Math.floor(entry.mtime), epoch) };
	switch (entry.type) {
		case 'file':
			if (entry.linkOf === undefined) return { ...common, size: entry.size };
			return { ...common, type: 'link', linkPath: entry.linkOf, xattrs: NO_XATTRS };
		case 'directory':
			return { ...common, type: 'directory', path: path === ROOT ? './' : `${path}/` };
		case 'symlink':
			return { ...common, type: 'symlink', linkPath: entry.target, mode: 0o777 };
		case 'character':
		case 'block':
		case 'fifo':
			return { ...common, type: entry.type, deviceMajor: entry.major, deviceMinor: entry.minor };
	}
}

interface Sink {
	readonly write: (bytes: Buffer) => Promise<void>;
	/** The free part of the buffer, to be filled and then committed. */
	readonly free: () => Buffer;
	readonly commit: (bytes: number) => Promise<void>;
	readonly flush: () => Promise<void>;
}

function bufferedSink(output: (chunk: Buffer) => Promise<void>): Sink {
	const buffer = Buffer.allocUnsafeSlow(BUFFER);
	let filled = 0;
	const flush = async () => {
		const ready = filled;
		filled = 0;
		if (ready > 0) await output(buffer.subarray(0, ready));
	};
	return {
		write: async (bytes) => {
			for (let at = 0; at < bytes.length; ) {
				const taken = bytes.copy(buffer, filled, at);
				at += taken;
				filled += taken;
				if (filled === BUFFER) await flush();
			}
		},
		free: () => buffer.subarray(filled),
		commit: async (bytes) => {
			filled += bytes;
			if (filled === BUFFER) await flush();
		},
		flush,
	};
}

async function copyFile(path: RawPath, size: number, sink: Sink): Promise<void> {
	if (size === 0) return;
	const file = openSync(fsPath(path), O_READ);
	try {
		for (let left = size; left > 0; ) {
			const free = sink.free();
			const count = readSync(file, free, 0, Math.min(left, free.length), null);
			if (count === 0) throw new Error(`${printablePath(path)} became shorter while it was packed`);
			left -= count;
			await sink.commit(count);
		}
	} finally {
		closeSync(file);
	}
}

function writeFully(file: number, chunk: Buffer): void {
	try {
		for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
	} catch (error) {
		if (!['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')) throw error;
		throw new BuildError('HOST_NO_SPACE', 'no space left while the new layer was written', {
			hint: 'Free space in the store, or name another place with --store DIR.',
			cause: error,
		});
	}
}

import { createHash } from 'node:crypto';
import { closeSync, readSync, writeSync } from 'node:fs';
import { BuildError } from '../errors.js';
import { noSpace } from '../host-fault.js';
import type { Libc } from '../linux/libc.js';
import type { PackedLayer } from '../oci/descriptor.js';
import { finishDigest } from '../oci/digest.js';
import { latin1Path, printablePath, type RawPath, ROOT, type RootPath } from '../root-path.js';
import { BLOCK_SIZE, paddingOf, type TarEntry } from '../tar/entry.js';
import { createGzipWriter } from '../tar/gzip.js';
import { TAR_END, writeHeader } from '../tar/writer.js';
import { createIndexBudget, tooLargeLayer } from './index-budget.js';
import { changedMeanwhile, type OpenTree, openAny, openFile, openTree } from './open-tree.js';
import type { Change, Entry, Put, UnreadFile } from './tree.js';
import { whiteoutOf } from './whiteout.js';

export interface PackOptions {
	/** Later times become this one; seconds. */
	readonly epoch: number;
	/** Gets bytes of tar since it was last called. */
	readonly progress: (bytes: number) => void;
	/** What an {@link UnreadFile} is, which is open as `file`. Throws ASSEMBLE_SURVIVED when that is no file. */
	readonly declare: (path: RootPath, file: number) => Put;
	/** Is asked before the open `file` at `path` is read. Throws ASSEMBLE_SURVIVED when it is not what the change is of. */
	readonly check?: (path: RootPath, file: number) => void;
	/** Opens directories, and finds the holes of files, which are not read. */
	readonly libc: Pick<Libc, 'seek' | 'openBeneath' | 'standIn'>;
}

const BUFFER = 256 * 1024;
const REPORT_EVERY = 2 * 2 ** 20;
const MAX_BYTES = 128 * 2 ** 30;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const WHITEOUT = { mode: 0o644, uid: 0, gid: 0 };
const PADDING = Buffer.alloc(BLOCK_SIZE);
const ZEROS = Buffer.alloc(BUFFER);

/**
 * Writes `changes`, with the file contents below `root`, as a gzip layer to the open file `output`: tar, sha256, gzip, sha256 and write
 * in one pass. Throws HOST_NO_SPACE, ASSEMBLE_SURVIVED for a file that is no more what it was, and ASSEMBLE_FAILED for more than 128 GiB
 * of files, holes included, or more attributes than a layer may have.
 */
export async function packLayer(
	changes: readonly (Change | UnreadFile)[],
	root: RawPath,
	output: number,
	options: PackOptions,
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
	let unreported = 0;
	const report = (least: number) => {
		if (unreported < least) return;
		options.progress(unreported);
		unreported = 0;
	};
	const sink = bufferedSink(async (chunk) => {
		signal.throwIfAborted();
		tar.update(chunk);
		unreported += chunk.length;
		report(REPORT_EVERY);
		await gzip.write(chunk);
	});
	const tree = openTree(root, options.libc);
	try {
		await addAll(changes, tree, sink, options);
	} finally {
		tree.close();
	}
	await putAll(TAR_END, sink);
	await sink.flush();
	await gzip.end();
	report(1);
	return { digest: finishDigest(blob), diffId: finishDigest(tar), size };
}

async function addAll(
	changes: readonly (Change | UnreadFile)[],
	tree: OpenTree,
	sink: Sink,
	{ declare, check, epoch, libc }: PackOptions,
): Promise<void> {
	const linked = createLinker();
	const budget = createIndexBudget(tooLargeLayer);
	let bytes = 0;
	for (const change of changes) {
		if (change.path === ROOT && change.type === 'remove') continue;
		const opened = openContent(change, tree, declare);
		try {
			if (opened.file !== undefined) check?.(change.path, opened.file);
			const entry = tarEntry(opened.change.type === 'put' ? linked(opened.change) : opened.change, epoch);
			budget.attributes(entry);
			bytes += entry.size;
			if (bytes > MAX_BYTES) throw tooManyBytes(change.path, entry.size);
			const pending = add(entry, opened, sink, libc.seek);
			// A promise for each of many small files would take longer than their content.
			if (pending !== undefined) await pending;
		} finally {
			if (opened.file !== undefined) closeSync(opened.file);
		}
	}
}

/** A tar has holes as zeros, and so has whoever unpacks it; the usual one is lastlog, 292 bytes for each uid below the largest. */
function tooManyBytes(path: RootPath, size: number): BuildError {
	const GIB = 2 ** 30;
	const message = `assemble made more than ${MAX_BYTES / GIB} GiB of files; the last one, "/${printablePath(path)}", has ${(size / GIB).toFixed(1)} GiB, holes included`;
	return new BuildError('ASSEMBLE_FAILED', message, {
		hint: 'Have assemble remove it, or not make it: useradd --no-log-init makes no lastlog that is as large as a uid.',
	});
}

function tarEntry(change: Change, epoch: number): TarEntry {
	if (change.type === 'remove') return tarOf('file', whiteoutOf(change.path), WHITEOUT, { mtime: 0 });
	const { entry, path } = change;
	const mtime = Math.min(Math.floor(entry.mtime), epoch);
	switch (entry.type) {
		case 'file':
			if (entry.linkOf === undefined) return tarOf('file', path, entry, { mtime, size: entry.size });
			return tarOf('link', path, { ...entry, xattrs: NO_XATTRS }, { mtime, linkPath: entry.linkOf });
		case 'directory':
			return tarOf('directory', latin1Path(path === ROOT ? './' : `${path}/`), entry, { mtime });
		case 'symlink':
			return tarOf('symlink', path, { ...entry, mode: 0o777 }, { mtime, linkPath: latin1Path(entry.target) });
		case 'character':
		case 'block':
		case 'fifo':
			return tarOf(entry.type, path, entry, { mtime, deviceMajor: entry.major, deviceMinor: entry.minor });
	}
}

function tarOf(
	type: TarEntry['type'],
	path: RawPath,
	{ mode, uid, gid, xattrs = NO_XATTRS }: Pick<Entry, 'mode' | 'uid' | 'gid' | 'xattrs'>,
	own: Pick<TarEntry, 'mtime'> & Partial<TarEntry>,
): TarEntry {
	return { type, path, linkPath: ROOT, mode, uid, gid, size: 0, deviceMajor: 0, deviceMinor: 0, xattrs, ...own };
}

/** A buffer on the way to the output. */
interface Sink {
	/** Takes as much as there is room for; returns how much. */
	readonly put: (bytes: Buffer) => number;
	/** Reads at most `length` bytes of an open file from `position` on; returns how many. */
	readonly read: (file: number, length: number, position: number) => number;
	readonly free: () => number;
	readonly flush: () => Promise<void>;
}

function bufferedSink(output: (chunk: Buffer) => Promise<void>): Sink {
	const buffer = Buffer.allocUnsafeSlow(BUFFER);
	let filled = 0;
	const took = (bytes: number) => {
		filled += bytes;
		return bytes;
	};
	return {
		put: (bytes) => took(bytes.copy(buffer, filled)),
		read: (file, length, position) => took(readSync(file, buffer, filled, Math.min(length, BUFFER - filled), position)),
		free: () => BUFFER - filled,
		flush: async () => {
			const ready = filled;
			filled = 0;
			if (ready > 0) await output(buffer.subarray(0, ready));
		},
	};
}

/** A change, and the file that has its content. */
interface Opened {
	readonly change: Change;
	readonly file: number | undefined;
}

function openContent(change: Change | UnreadFile, tree: OpenTree, declare: PackOptions['declare']): Opened {
	if (change.type === 'unread') {
		const file = openAny(tree, change.path);
		try {
			return { change: declare(change.path, file), file };
		} catch (error) {
			closeSync(file);
			throw error;
		}
	}
	const hasContent = change.type === 'put' && change.entry.type === 'file' && change.entry.size > 0;
	return { change, file: hasContent ? openFile(tree, change.path) : undefined };
}

/** Adds an entry, at once where there is room for it. */
function add(entry: TarEntry, opened: Opened, sink: Sink, seek: Libc['seek']): Promise<void> | undefined {
	const header = writeHeader(entry);
	const length = header.length + entry.size + paddingOf(entry.size);
	if (length > BUFFER) return addLarge(header, entry.size, { ...opened, seek }, sink);
	if (length > sink.free()) return sink.flush().then(() => addSmall(header, entry.size, opened, sink));
	addSmall(header, entry.size, opened, sink);
	return undefined;
}

function addSmall(header: Buffer, size: number, opened: Opened, sink: Sink): void {
	sink.put(header);
	for (let at = 0; at < size; ) at += readSome(size - at, at, opened, sink);
	sink.put(PADDING.subarray(0, paddingOf(size)));
}

async function addLarge(header: Buffer, size: number, opened: Opened & Pick<Libc, 'seek'>, sink: Sink): Promise<void> {
	const { file, seek } = opened;
	await putAll(header, sink);
	for (let at = 0; at < size; ) {
		const data = file === undefined ? at : seek(file, at, 'data', size);
		for (let left = data - at; left > 0; left -= Math.min(left, ZEROS.length)) {
			await putAll(ZEROS.subarray(0, left), sink);
		}
		const hole = file === undefined ? size : seek(file, data, 'hole', size);
		for (at = data; at < hole; ) {
			if (sink.free() === 0) await sink.flush();
			at += readSome(hole - at, at, opened, sink);
		}
	}
	await putAll(PADDING.subarray(0, paddingOf(size)), sink);
}

function readSome(left: number, at: number, { file, change }: Opened, sink: Sink): number {
	const count = file === undefined ? 0 : sink.read(file, left, at);
	if (count === 0) throw changedMeanwhile(change.path);
	return count;
}

async function putAll(bytes: Buffer, sink: Sink): Promise<void> {
	for (let at = 0; at < bytes.length; ) {
		if (sink.free() === 0) await sink.flush();
		at += sink.put(bytes.subarray(at));
	}
}

function writeFully(file: number, chunk: Buffer): void {
	try {
		for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
	} catch (error) {
		throw noSpace(error, 'the new layer in the store') ?? error;
	}
}

/** Makes, of changes in the order of a layer, hard links of the names of one file but the first. */
export function createLinker(): (put: Put) => Put {
	const first = new Map<string, RootPath>();
	return (put) => {
		const { entry, inode, path } = put;
		if (inode === undefined || entry.type !== 'file') return put;
		const linkOf = first.get(inode);
		if (linkOf !== undefined) return { ...put, entry: { ...entry, linkOf } };
		first.set(inode, path);
		return put;
	};
}

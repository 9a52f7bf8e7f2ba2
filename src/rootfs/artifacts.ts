import { chownSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { BuildError, isBuildError } from '../errors.js';
import { noSpace } from '../host-fault.js';
import type { Libc } from '../linux/libc.js';
import { fsPath, latin1Path, printablePath, type RawPath } from '../root-path.js';
import { decompress } from '../tar/decompress.js';
import { createTarReader } from '../tar/reader.js';
import { sniffCompression, takeStart } from '../tar/sniff.js';
import { createArtifactWriter, quoted } from './artifact-tree.js';
import { openLayerDisk } from './layer-disk.js';
import { createLayerTree } from './layer-tree.js';
import { type IdLimits, mayGive, type Owner, ownable } from './owner.js';

export interface ArtifactOptions {
	/** Empty private directory that the artifacts go into. */
	readonly root: RawPath;
	/** Whose they become, where the host can say so. */
	readonly owner: Owner;
	readonly ids: IdLimits;
	readonly libc: Libc | undefined;
	/** How long the stream may say nothing, in ms; five minutes when undefined. */
	readonly idleMs?: number;
	/** The most entries an archive may have; as many as a layer's when undefined. */
	readonly maxEntries?: number;
}

export interface ExtractedArtifacts {
	/** How many are on disk. 0 when there was nothing to save. */
	readonly entries: number;
	/** Content of files, in bytes. */
	readonly bytes: number;
	/** One sentence for each entry that was left out, and for text after the archive; the last says how many more there are. */
	readonly notices: readonly string[];
}

const IDLE_MS = 300_000;
const MAX_ENTRIES = 2_000_000;
const MAX_PADDING = 64 * 2 ** 20;
const MAX_NOTICES = 5;

/**
 * Extracts the tar or tar.gz that a save-artifacts script writes to its standard output (S2I artifacts; see source-to-image pkg/tar).
 * An empty stream is no artifacts; what follows the end of the archive is read and ignored. Content is not limited: it is the disk
 * that ends. Throws LAYER_INVALID when it is no archive, is cut short, has too many entries or says nothing for too long;
 * HOST_NO_SPACE. After an error `root` holds some of it.
 */
export async function extractArtifacts(
	stream: Readable,
	options: ArtifactOptions,
	signal: AbortSignal,
): Promise<ExtractedArtifacts> {
	const ends = watchEnds();
	const notices = createNotices();
	const extraction = openExtraction(options, notices.add);
	try {
		const idleMs = options.idleMs ?? IDLE_MS;
		for await (const chunk of inflated(watched(stream, ends, idleMs), signal)) {
			signal.throwIfAborted();
			extraction.write(chunk);
		}
		extraction.finish();
	} catch (error) {
		throw explained(error, options.root, ends, extraction.count());
	} finally {
		stream.destroy();
		extraction.abandon();
	}
	const trailing = ends.textAfter();
	if (trailing !== undefined) notices.add(`it also printed text after the archive: ${trailing}`);
	return { ...extraction.count(), notices: notices.all() };
}

/** The first and the last bytes of a stream that should be an archive: where scripts print what they should not. */
interface StreamEnds {
	readonly note: (chunk: Buffer) => void;
	/** The line of text that the stream begins with, quoted; undefined when it begins with something else. */
	readonly textBefore: () => string | undefined;
	/** The first line of the text that follows the zeros at the end of an archive, quoted. */
	readonly textAfter: () => string | undefined;
}

const HEAD = 512;
const TAIL = 16_384;
/** An archive ends in two blocks of zeros. */
const END = 1024;
const MAX_LINE = 100;

/** Watches a stream that has not begun. */
function watchEnds(): StreamEnds {
	let [head, tail]: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
	return {
		note: (chunk) => {
			if (head.length < HEAD) head = Buffer.concat([head, chunk.subarray(0, HEAD - head.length)]);
			const kept = tail.subarray(Math.max(0, tail.length + chunk.length - TAIL));
			tail = Buffer.concat([kept, chunk.subarray(-TAIL)]);
		},
		textBefore: () => firstLine(head),
		textAfter: () => {
			const start = tail.lastIndexOf(0) + 1;
			const zeros = tail.subarray(Math.max(0, start - END), start);
			return zeros.length === END && zeros.every((byte) => byte === 0) ? firstLine(tail.subarray(start)) : undefined;
		},
	};
}

function firstLine(bytes: Buffer): string | undefined {
	const end = bytes.indexOf('\n');
	const line = end < 0 ? bytes : bytes.subarray(0, end);
	if (line.length === 0 || !line.every((byte) => byte === 9 || byte === 13 || (byte >= 32 && byte !== 127))) {
		return undefined;
	}
	return `"${printablePath(latin1Path(line.subarray(0, MAX_LINE).toString('latin1').trim()))}"`;
}

interface Extraction {
	readonly write: (chunk: Buffer) => void;
	readonly finish: () => void;
	readonly abandon: () => void;
	readonly count: () => { readonly entries: number; readonly bytes: number };
}

function openExtraction(options: ArtifactOptions, notice: (text: string) => void): Extraction {
	const { root, ids, libc, owner } = options;
	const [tree, disk] = [createLayerTree(), openLayerDisk({ root, ids, libc })];
	const place = createArtifactWriter(tree, disk, owner);
	let [entries, bytes, seen, quiet, isOpen] = [0, 0, 0, 0, false];
	const reader = createTarReader({
		entry: (entry) => {
			quiet = 0;
			if (++seen > (options.maxEntries ?? MAX_ENTRIES)) throw bad(`there are more than ${seen - 1} entries`);
			const problem = place(entry);
			isOpen = problem === undefined && entry.type === 'file';
			if (problem === undefined) entries++;
			else notice(`${quoted(entry.path)} is left out: ${problem}`);
		},
		data: (chunk) => {
			quiet = 0;
			if (!isOpen) return;
			bytes += chunk.length;
			disk.writeFile(chunk);
		},
		close: () => {
			if (isOpen) disk.closeFile();
			isOpen = false;
		},
	});
	return {
		write: (chunk) => {
			quiet += chunk.length;
			if (quiet > MAX_PADDING) throw bad('they never end');
			reader.write(chunk);
		},
		finish: () => {
			reader.end();
			disk.finish(tree.directories());
			if (mayGive() && ownable(owner, ids)) chownSync(fsPath(root), owner.uid, owner.gid);
		},
		abandon: disk.abandon,
		count: () => ({ entries, bytes }),
	};
}

/** The chunks of `stream`, noting its two ends. Rejects when it is silent for `idleMs`. */
async function* watched(stream: Readable, ends: StreamEnds, idleMs: number): AsyncGenerator<Buffer, void, undefined> {
	const timer = setTimeout(() => stream.destroy(bad(`nothing came for ${idleMs / 1000} s`)), idleMs);
	try {
		for await (const chunk of stream as AsyncIterable<Buffer>) {
			timer.refresh();
			ends.note(chunk);
			yield chunk;
		}
	} finally {
		clearTimeout(timer);
	}
}

async function* inflated(
	chunks: AsyncGenerator<Buffer, void, undefined>,
	signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
	const { start, all } = await takeStart(chunks);
	yield* sniffCompression(start) === 'gzip' ? decompress('gzip', all, '', signal) : all;
}

function createNotices(): { readonly add: (text: string) => void; readonly all: () => readonly string[] } {
	const kept: string[] = [];
	let more = 0;
	return {
		add: (text) => {
			if (kept.length < MAX_NOTICES) kept.push(text);
			else more++;
		},
		all: () => (more === 0 ? kept : [...kept, `and ${more} more of this kind`]),
	};
}

function bad(problem: string): BuildError {
	return new BuildError('LAYER_INVALID', `the artifacts cannot be used: ${problem}`, {
		hint: 'save-artifacts must write one tar archive to standard output and nothing else; all it has to say belongs on standard error.',
	});
}

function explained(
	error: unknown,
	root: RawPath,
	ends: StreamEnds,
	{ entries }: { readonly entries: number },
): unknown {
	const full = noSpace(error, `artifacts below ${printablePath(root)}`);
	if (full !== undefined) return full;
	if (!isBuildError(error, 'LAYER_INVALID') || error.message.startsWith('the artifacts')) return error;
	const text = entries === 0 ? ends.textBefore() : undefined;
	if (text !== undefined) return bad(`they begin with text: ${text}`);
	const detail = error.message.replace(/^[^:]*: /, '');
	return bad(`after ${entries} entries, ${detail}`);
}

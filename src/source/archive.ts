import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BuildError, isBuildError, messageOf } from '../errors.js';
import { hostFault } from '../host-fault.js';
import { redact } from '../redact.js';
import { rawPath } from '../root-path.js';
import { decompress } from '../tar/decompress.js';
import { createTarReader } from '../tar/reader.js';
import { sniffCompression, takeStart } from '../tar/sniff.js';
import { sourceFull } from './directory.js';
import { type Budget, createBudget, createExtraction, type Extraction } from './extract.js';
import type { FetchOptions, Source } from './source.js';
import { unpackZip } from './unzip.js';

/** Sources that are archives. */
export type ArchiveSource = Extract<Source, { readonly type: 'archive' | 'stdin' }>;

const MAX_DOWNLOAD = 8 * 1024 ** 3;
const CHUNK = 1024 * 1024;
const ZIP = ['504b0304', '504b0506'];

/**
 * Unpacks a zip or a tar (plain, gzip, zstd), told apart by how it begins, into the new directory `root`. `work` is for spool files,
 * which the caller removes. A single top-level directory stays: `--context-dir` names it. Throws SOURCE_INVALID, SOURCE_NOT_FOUND,
 * HOST_NO_SPACE, what `http` throws, and the signal's reason.
 */
export async function unpackArchive(
	source: ArchiveSource,
	root: string,
	work: string,
	options: Pick<FetchOptions, 'stdin' | 'http'>,
	signal: AbortSignal,
): Promise<void> {
	const budget = createBudget();
	const extraction = createExtraction(rawPath(root), budget);
	try {
		const stream = await openArchive(source, options, signal);
		try {
			addAbortSignal(signal, stream);
			await unpackStream(stream, { source, work, budget, extraction }, signal);
		} finally {
			stream.destroy();
		}
		extraction.finish();
	} catch (error) {
		extraction.abandon();
		signal.throwIfAborted();
		throw archiveFailed(source, root, error);
	}
}

/** What messages and labels call the archive. */
export function archiveLocation(source: ArchiveSource): string {
	if (source.type === 'stdin') return '-';
	if (!source.remote) return redact(source.location);
	const { protocol, host, pathname } = new URL(source.location);
	return redact(`${protocol}//${host}${pathname}`);
}

async function openArchive(
	source: ArchiveSource,
	{ stdin, http }: Pick<FetchOptions, 'stdin' | 'http'>,
	signal: AbortSignal,
): Promise<Readable> {
	if (source.type === 'archive') {
		if (!source.remote) return createReadStream(source.location, { highWaterMark: CHUNK });
		return (await http.get(source.location, { maxBytes: MAX_DOWNLOAD }, signal)).body;
	}
	if (!('isTTY' in stdin) || stdin.isTTY !== true) return stdin;
	throw new BuildError('SOURCE_INVALID', 'the source is standard input, which is a terminal', {
		hint: 'Pipe an archive to it: tar -c . | s2oci build - …',
	});
}

interface Unpacking {
	readonly source: ArchiveSource;
	readonly work: string;
	readonly budget: Budget;
	readonly extraction: Extraction;
}

async function unpackStream(
	stream: Readable,
	{ source, work, budget, extraction }: Unpacking,
	signal: AbortSignal,
): Promise<void> {
	const { start, all } = await takeStart(counted(stream, budget));
	if (start.length === 0) throw unusable(source, 'it is empty');
	const isZip = ZIP.some((magic) => start.toString('hex').startsWith(magic));
	const found = isZip ? 'zip' : sniffCompression(start);
	if (found === 'xz' || found === 'bzip2') {
		throw unusable(source, `it is compressed with ${found}`, `Pipe it: ${found} -dc FILE | s2oci build - …`);
	}
	if (found !== 'zip') {
		const reader = createTarReader(extraction);
		for await (const chunk of decompress(found, all, join(work, 'spool'), signal)) {
			signal.throwIfAborted();
			budget.addUnpacked(chunk.length);
			reader.write(chunk);
		}
		reader.end();
	} else if (source.type === 'archive' && !source.remote) {
		budget.addPacked((await stat(source.location)).size);
		await unpackZip(source.location, extraction, budget, signal);
	} else {
		const spool = join(work, 'spool');
		await pipeline(all, createWriteStream(spool, { flags: 'wx', mode: 0o600 }), { signal });
		await unpackZip(spool, extraction, budget, signal);
	}
}

async function* counted(stream: Readable, budget: Budget): AsyncGenerator<Buffer, void, undefined> {
	for await (const chunk of stream) {
		budget.addPacked((chunk as Buffer).length);
		yield chunk as Buffer;
	}
}

/** Whatever is not ours is damage that a library found. */
function archiveFailed(source: ArchiveSource, root: string, error: unknown): unknown {
	const fault = sourceFull(error, root) ?? hostFault(error);
	if (fault !== error) return fault;
	// The codec speaks of layers; what follows its first colon is true of any archive.
	if (isBuildError(error, 'LAYER_INVALID')) {
		return unusable(source, error.message.replace(/^[^:]*: /, ''), undefined, error);
	}
	return isBuildError(error) ? error : unusable(source, redact(messageOf(error)), undefined, error);
}

function unusable(source: ArchiveSource, problem: string, hint?: string, cause?: unknown): BuildError {
	const name = source.type === 'stdin' ? 'standard input' : JSON.stringify(archiveLocation(source).slice(0, 200));
	return new BuildError('SOURCE_INVALID', `the archive ${name} cannot be used: ${problem}`, {
		hint: hint ?? 'Give a zip file, or a tar that is plain or compressed with gzip or zstd.',
		cause,
	});
}

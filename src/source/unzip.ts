import { crc32 } from 'node:zlib';
import type { Entry, ZipFile } from 'yauzl';
import { BuildError } from '../errors.js';
import { latin1Path, printablePath, ROOT, rawPath } from '../root-path.js';
import type { ArchiveEntry, Budget, Extraction } from './extract.js';

const UNIX = [3, 19];
const TYPES: Readonly<Record<number, ArchiveEntry['type']>> = {
	0o010000: 'fifo',
	0o020000: 'character',
	0o040000: 'directory',
	0o060000: 'block',
	0o120000: 'symlink',
};
const MAX_TARGET = 4096;

/**
 * Unpacks the zip file at `path`: permissions, symbolic links and times where Unix recorded them (Info-ZIP), else 0644 and 0755.
 * Throws SOURCE_INVALID for encrypted entries, unknown compression and content that does not match its checksum, and what yauzl
 * throws for damaged files.
 */
export async function unpackZip(
	path: string,
	extraction: Extraction,
	budget: Budget,
	signal: AbortSignal,
): Promise<void> {
	const { openPromise } = await import('yauzl');
	const zip = await openPromise(path);
	try {
		for await (const entry of zip.eachEntry()) {
			signal.throwIfAborted();
			await unpackEntry(entry, { zip, extraction, budget }, signal);
		}
	} finally {
		zip.close();
	}
}

interface Unzipping {
	readonly zip: ZipFile;
	readonly extraction: Extraction;
	readonly budget: Budget;
}

async function unpackEntry(entry: Entry, unzipping: Unzipping, signal: AbortSignal): Promise<void> {
	const { extraction } = unzipping;
	const found = archiveEntryOf(entry);
	if (found.type === 'symlink') {
		const parts: Buffer[] = [];
		if (entry.uncompressedSize > MAX_TARGET) throw invalid(entry, 'is a symbolic link with too long a target');
		await readContent(entry, unzipping, (chunk) => parts.push(chunk), signal);
		extraction.entry({ ...found, linkPath: latin1Path(Buffer.concat(parts).toString('latin1')) });
		return;
	}
	extraction.entry(found);
	if (found.type !== 'file') return;
	await readContent(entry, unzipping, extraction.data, signal);
	extraction.close();
}

/** APPNOTE 4.4.2 and 4.4.15: the upper half of the attributes is st_mode when the archive was made on Unix or macOS. */
function archiveEntryOf(entry: Entry): ArchiveEntry {
	const unixMode = UNIX.includes(entry.versionMadeBy >>> 8) ? entry.externalFileAttributes >>> 16 : 0;
	const isDirectory = entry.fileName.endsWith('/');
	const type = isDirectory ? 'directory' : (TYPES[unixMode & 0o170000] ?? 'file');
	const permissions = unixMode & 0o7777;
	return {
		type,
		path: rawPath(entry.fileName),
		linkPath: ROOT,
		mode: permissions !== 0 ? permissions : type === 'directory' ? 0o755 : 0o644,
		// DOS times have no zone: the one of this machine would give other bytes elsewhere.
		mtime: Math.floor(entry.getLastModDate({ timezone: 'UTC' }).getTime() / 1000) || 0,
	};
}

async function readContent(
	entry: Entry,
	{ zip, budget }: Unzipping,
	take: (chunk: Buffer) => unknown,
	signal: AbortSignal,
): Promise<void> {
	if (entry.isEncrypted()) throw invalid(entry, 'is encrypted');
	if (!entry.canDecodeFileData()) {
		throw invalid(entry, `has compression method ${entry.compressionMethod}, which is not deflate`);
	}
	let checksum = 0;
	for await (const chunk of await zip.openReadStreamPromise(entry)) {
		signal.throwIfAborted();
		budget.addUnpacked((chunk as Buffer).length);
		checksum = crc32(chunk as Buffer, checksum);
		take(chunk as Buffer);
	}
	if (checksum !== entry.crc32) throw invalid(entry, 'is damaged: its checksum is wrong');
}

function invalid(entry: Entry, problem: string): BuildError {
	const path = printablePath(rawPath(entry.fileName.slice(0, 200)));
	return new BuildError('SOURCE_INVALID', `${path} of the archive ${problem}`, {
		hint: 'Make the archive anew with zip -r, without a password, or unpack it and build the directory.',
	});
}

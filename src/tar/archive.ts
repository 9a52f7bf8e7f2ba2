import { createReadStream } from 'node:fs';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header, pack } from 'tar-stream';

/** One entry of a tar file that holds an image. `offset` and `size` say where its bytes are in the file; links have none. */
export interface ArchiveMember {
	readonly name: string;
	readonly type: 'file' | 'link' | 'symlink' | 'other';
	readonly offset: number;
	readonly size: number;
	readonly target?: string;
}

/** A file to write into a tar. `size` is in bytes and must be exact. */
export interface ArchiveFile {
	readonly name: string;
	readonly size: number;
	readonly open: (signal: AbortSignal) => Promise<Readable>;
}

const BLOCK = 512;
const MAX_MEMBERS = 100_000;

/**
 * The entries of the plain tar file at `path`, in order, found by reading it once. Throws what tar-stream or the file system throw
 * for a damaged or missing file, and RangeError for more than 100,000 entries.
 */
export async function indexArchive(path: string, signal: AbortSignal): Promise<readonly ArchiveMember[]> {
	const members: ArchiveMember[] = [];
	const tar = extract();
	tar.on('entry', (header: Header, stream, next) => {
		members.push(memberOf(header, stream.offset));
		stream.on('end', () =>
			next(members.length > MAX_MEMBERS ? new RangeError('the archive has too many entries') : null),
		);
		stream.resume();
	});
	await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), tar, { signal });
	return members;
}

/** A plain tar of `files` in the given order; the same files give the same bytes (mtime 0, mode 0644, owner 0:0). */
export function packArchive(files: Iterable<ArchiveFile>, signal: AbortSignal): Readable {
	const tar = pack();
	const output = new PassThrough();
	const write = async (): Promise<void> => {
		for (const { name, size, open } of files) {
			const content = await open(signal);
			await pipeline(content, tar.entry({ name, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) }), { signal });
		}
		tar.finalize();
	};
	Promise.all([pipeline(tar, output, { signal }), write()]).catch((error: unknown) => {
		tar.destroy();
		output.destroy(error instanceof Error ? error : new Error(String(error)));
	});
	return output;
}

// tar-stream tells where the header is; the content begins one block later.
function memberOf(header: Header, headerOffset: number): ArchiveMember {
	const { type } = header;
	const isLink = type === 'link' || type === 'symlink';
	return {
		name: header.name,
		type: isLink || type === 'file' ? type : 'other',
		offset: headerOffset + BLOCK,
		size: isLink ? 0 : header.size,
		...(isLink ? { target: header.linkname } : {}),
	};
}

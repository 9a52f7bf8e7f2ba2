import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import type { RawPath } from '../root-path.js';
import type { TarEntry } from './entry.js';
import { invalid } from './header.js';
import { createTarReader } from './reader.js';

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

const MAX_MEMBERS = 100_000;

/**
 * The entries of the plain tar that `chunks` are, in order; each chunk is needed only until the next is asked for. What follows the end
 * of the tar is ignored. Throws LAYER_INVALID for a damaged or cut tar and for files stored with holes, RangeError for more than 100,000
 * entries.
 */
export async function indexArchive(
	chunks: AsyncIterable<Buffer>,
	signal: AbortSignal,
): Promise<readonly ArchiveMember[]> {
	const members: ArchiveMember[] = [];
	let [chunk, position]: [Buffer, number] = [Buffer.alloc(0), 0];
	let current: { readonly entry: TarEntry; readonly offset: number; readonly end: number } | undefined;
	const reader = createTarReader({
		entry: (entry) => {
			if (members.length >= MAX_MEMBERS) throw new RangeError('the archive has too many entries');
			current = { entry, offset: 0, end: 0 };
		},
		data: (part) => {
			if (current === undefined) return;
			const { entry, offset, end } = current;
			const at = part.buffer === chunk.buffer ? position + part.byteOffset - chunk.byteOffset : -1;
			if (at < 0 || (end > 0 && at !== end)) throw invalid('a file in it is stored with holes');
			current = { entry, offset: end === 0 ? at : offset, end: at + part.length };
		},
		close: () => {
			if (current !== undefined) members.push(memberOf(current.entry, current.offset));
		},
	});
	for await (chunk of chunks) {
		signal.throwIfAborted();
		reader.write(chunk);
		position += chunk.length;
	}
	reader.end();
	return members;
}

/** An entry of an archive that arrives; `content` must be read before the next one is asked for, or is skipped. */
export interface ArrivingMember extends Omit<ArchiveMember, 'offset'> {
	readonly content: AsyncIterable<Uint8Array>;
}

type Arrival = { readonly entry: TarEntry } | { readonly chunk: Buffer } | 'close';

/**
 * The entries of the plain tar `archive`, in order, while it arrives. Throws LAYER_INVALID for a damaged or cut tar, what `archive` fails
 * with, and RangeError for more than 100,000 entries.
 */
export async function* readArchive(archive: Readable, signal: AbortSignal): AsyncGenerator<ArrivingMember> {
	const arrivals = arrivalsOf(archive, signal);
	let count = 0;
	for (let next = await arrivals.next(); next.done !== true; next = await arrivals.next()) {
		if (typeof next.value === 'string' || !('entry' in next.value)) continue;
		count += 1;
		if (count > MAX_MEMBERS) throw new RangeError('the archive has too many entries');
		const { name, type, size, target } = memberOf(next.value.entry, 0);
		const content = contentOf(arrivals);
		yield { name, type, size, content, ...(target !== undefined && { target }) };
		while ((await content.next()).done !== true);
	}
}

/** What the reader makes of one chunk is passed on before it gets the next. */
async function* arrivalsOf(archive: Readable, signal: AbortSignal): AsyncGenerator<Arrival> {
	const arrived: Arrival[] = [];
	const reader = createTarReader({
		entry: (entry) => arrived.push({ entry }),
		data: (chunk) => arrived.push({ chunk }),
		close: () => arrived.push('close'),
	});
	for await (const chunk of archive as AsyncIterable<Buffer>) {
		signal.throwIfAborted();
		reader.write(chunk);
		yield* arrived.splice(0);
	}
	reader.end();
	yield* arrived.splice(0);
}

async function* contentOf(arrivals: AsyncGenerator<Arrival>): AsyncGenerator<Buffer> {
	for (let next = await arrivals.next(); next.done !== true && next.value !== 'close'; next = await arrivals.next()) {
		if ('chunk' in next.value) yield next.value.chunk;
	}
}

/**
 * A plain tar of `files` in the given order, each directory before what is in it; the same files give the same bytes (mtime 0, mode 0644
 * or 0755, owner 0:0). Directories are named since skopeo gives those that are not to root, which fails for any other user.
 */
export function packArchive(files: Iterable<ArchiveFile>, signal: AbortSignal): Readable {
	const tar = pack();
	const output = new PassThrough();
	const common = { uid: 0, gid: 0, mtime: new Date(0) };
	const write = async (): Promise<void> => {
		const written = new Set<string>();
		for (const { name, size, open } of files) {
			for (const directory of directoriesOf(name).filter((each) => !written.has(each))) {
				tar.entry({ name: directory, type: 'directory', mode: 0o755, ...common });
				written.add(directory);
			}
			const content = await open(signal);
			await pipeline(content, tar.entry({ name, size, mode: 0o644, ...common }), { signal });
		}
		tar.finalize();
	};
	Promise.all([pipeline(tar, output, { signal }), write()]).catch((error: unknown) => {
		tar.destroy();
		output.destroy(error instanceof Error ? error : new Error(String(error)));
	});
	return output;
}

/** `a/` and `a/b/` for `a/b/c`. */
function directoriesOf(name: string): readonly string[] {
	return [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index + 1));
}

function memberOf({ type, path, linkPath, size }: TarEntry, offset: number): ArchiveMember {
	const isLink = type === 'link' || type === 'symlink';
	return {
		name: textOf(path),
		type: isLink || type === 'file' ? type : 'other',
		offset,
		size,
		...(isLink ? { target: textOf(linkPath) } : {}),
	};
}

/** Documents name the files of an archive in UTF-8. */
function textOf(raw: RawPath): string {
	return Buffer.from(raw, 'latin1').toString('utf8');
}

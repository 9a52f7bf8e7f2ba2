import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { BuildError, isBuildError, messageOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { type ArchiveMember, indexArchive } from '../tar/archive.js';
import { type Compression, decompress } from '../tar/decompress.js';
import { SNIFFED, sniffCompression, takeStart } from '../tar/sniff.js';
import { readBytes, unreadable } from './verify.js';

/** The files of a tar, found by the name inside it; the content is read from the tar itself, nothing is extracted. */
export interface ArchiveMembers {
	/** Where the bytes of `name` are, links followed inside the archive; undefined when there is no such file. */
	find(name: string): ArchiveMember | undefined;
	open(member: ArchiveMember): Readable;
	/** All bytes of `name`. Throws IMAGE_INVALID when it is missing or larger than `limit` bytes. */
	read(name: string, limit: number): Promise<Uint8Array>;
}

const MAX_LINKS = 8;
const CHUNK = 1024 * 1024;

/**
 * Indexes the image archive at `path`. Names are compared, never used as paths. A plain tar in a regular file is read where it is;
 * one that is compressed (gzip, zstd) or comes through a pipe is first written to a directory that `scratch` makes and its caller
 * removes. Throws IMAGE_INVALID when it is no tar.
 */
export async function openMembers(
	path: string,
	scratch: () => Promise<string>,
	signal: AbortSignal,
): Promise<ArchiveMembers> {
	const what = `the image archive ${path}`;
	const isPlain = await explained(what, signal, async () => (await stat(path)).isFile() && (await isTar(path)));
	if (isPlain) return indexed(path, what, signal);
	return receiveMembers(createReadStream(path, { highWaterMark: CHUNK }), await scratch(), what, signal);
}

/**
 * Indexes the image archive, compressed or not, that `input` brings once, such as a pipe from `docker save`. Its tar is written to
 * `directory` as it comes, which must last as long as the result. `what` names it in messages. Throws IMAGE_INVALID, HOST_NO_SPACE.
 */
export async function receiveMembers(
	input: AsyncIterable<Buffer>,
	directory: string,
	what: string,
	signal: AbortSignal,
): Promise<ArchiveMembers> {
	const path = posix.join(directory, 'archive.tar');
	await explained(what, signal, () => expand(input, path, signal));
	return indexed(path, what, signal);
}

async function isTar(path: string): Promise<boolean> {
	const start = createReadStream(path, { end: SNIFFED - 1 });
	return sniffArchive(Buffer.from(await readBytes(start, SNIFFED, path))) === 'none';
}

async function indexed(path: string, what: string, signal: AbortSignal): Promise<ArchiveMembers> {
	const found = await explained(what, signal, () =>
		indexArchive(createReadStream(path, { highWaterMark: CHUNK }), signal),
	);
	const members = new Map(found.map((member) => [memberName(member.name), member]));
	const find = (name: string): ArchiveMember | undefined => {
		let at = memberName(name);
		for (let links = 0; links <= MAX_LINKS; links += 1) {
			const member = members.get(at);
			if (member?.target === undefined) return member?.type === 'file' ? member : undefined;
			const from = member.type === 'symlink' ? posix.dirname(at) : '.';
			at = memberName(posix.join(from, member.target));
		}
		return undefined;
	};
	const open = (member: ArchiveMember): Readable => {
		if (member.size === 0) return Readable.from([]);
		return createReadStream(path, { start: member.offset, end: member.offset + member.size - 1 });
	};
	return {
		find,
		open,
		read: async (name, limit) => {
			const member = find(name);
			const named = `${JSON.stringify(name.slice(0, 100))} in ${what}`;
			if (member !== undefined) return readBytes(open(member), limit, named);
			throw new BuildError('IMAGE_INVALID', `${named} is missing`, {
				hint: 'Check that the archive was written completely.',
			});
		},
	};
}

/** What goes wrong with the tar or its compression is said of the archive, as it is no layer. */
async function explained<T>(what: string, signal: AbortSignal, read: () => Promise<T>): Promise<T> {
	try {
		return await read();
	} catch (error) {
		signal.throwIfAborted();
		const full = noSpace(error, `${what}, which is unpacked`);
		if (full !== undefined) throw full;
		if (!isBuildError(error, 'LAYER_INVALID')) throw unreadable(what, error);
		const [, ...reasons] = messageOf(error).split(': ');
		throw unreadable(what, new Error(reasons.join(': '), { cause: error }));
	}
}

/** `name` as members of archives are compared: without `.`, `..` and slashes at either end. */
export function memberName(name: string): string {
	return posix.normalize(name).replace(/^\/+/, '').replace(/\/+$/, '');
}

/** What a compressed archive may always grow to, and how often its own size beyond that. */
const FLOOR = 64 * 2 ** 30;
const MAX_RATIO = 200;

/** How an archive that begins with `start` is compressed, whatever its name. Throws IMAGE_UNSUPPORTED for bzip2 and xz. */
export function sniffArchive(start: Buffer): Compression {
	const found = sniffCompression(start);
	if (found !== 'bzip2' && found !== 'xz') return found;
	throw new BuildError('IMAGE_UNSUPPORTED', `image archives compressed with ${found} are not supported`, {
		hint: `Decompress it first, with ${found} -d, or compress it with gzip or zstd.`,
	});
}

/**
 * Writes the uncompressed bytes of `input` to the new file `path`. Throws LAYER_INVALID for damaged input and for what grows beyond 64 GiB
 * and 200 times its size, and what the file system says.
 */
async function expand(input: AsyncIterable<Buffer>, path: string, signal: AbortSignal): Promise<void> {
	let [taken, made] = [0, 0];
	const counted = async function* () {
		for await (const chunk of input) {
			taken += chunk.length;
			yield chunk;
		}
	};
	const { start, all } = await takeStart(counted());
	const file = await open(path, 'wx', 0o600);
	try {
		for await (const chunk of decompress(sniffArchive(start), all, `${path}.spool`, signal)) {
			signal.throwIfAborted();
			made += chunk.length;
			if (made > Math.max(FLOOR, taken * MAX_RATIO)) throw bomb();
			await file.writeFile(chunk);
		}
	} finally {
		await file.close();
	}
}

function bomb(): BuildError {
	return new BuildError('LAYER_INVALID', 'an archive cannot be used: it grows beyond 64 GiB and 200 times its size', {
		hint: 'No image grows so much.',
	});
}

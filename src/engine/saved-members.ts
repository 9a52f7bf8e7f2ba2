import { createWriteStream } from 'node:fs';
import { join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { memberName } from '../content/archive-members.js';
import { BuildError } from '../errors.js';
import { type Digest, finishDigest, hasherFor } from '../oci/digest.js';
import { MAX_CONFIG_BYTES } from '../oci/manifest.js';
import type { LayerCompression } from '../oci/media-types.js';
import { type ArrivingMember, readArchive } from '../tar/archive.js';
import { sniffCompression, takeStart } from '../tar/sniff.js';

/** A file of an archive that has arrived. */
export interface SavedMember {
	readonly size: number;
	readonly compression: LayerCompression;
	/** Of its bytes; only of compressed ones, as a plain layer is known by its diffID. */
	readonly digest: Digest | undefined;
	/** Undefined for what was not to be kept. */
	readonly content: { readonly bytes: Uint8Array } | { readonly path: string } | undefined;
}

/** What to do with the files of an archive. */
export interface Keeping {
	/** Whether the content of the file `name` is needed. Documents are kept anyway. */
	readonly isNeeded: (name: string) => boolean;
	/** A private directory for what is kept; asked for when there is something. */
	readonly directory: () => Promise<string>;
}

/** Finds a file by its name in the archive, links followed inside it. */
export type FindSaved = (name: string) => SavedMember | undefined;

const ANY: Digest = `sha256:${'0'.repeat(64)}` as Digest;
const MAX_LINKS = 8;
/** In how many bytes a document begins, white space before it included. */
const JSON_START = 64;
/** All documents of an archive together. */
const MAX_MEMORY = 64 * 1024 * 1024;

/**
 * Reads the archive of `docker save` while it arrives: JSON documents into memory, what is needed of the rest into files of their own,
 * whatever their order. Throws IMAGE_INVALID for documents without end, and what {@link readArchive} does.
 */
export async function readSaved(archive: Readable, keeping: Keeping, signal: AbortSignal): Promise<FindSaved> {
	const files = new Map<string, SavedMember>();
	const links = new Map<string, string>();
	let memory = 0;
	for await (const member of readArchive(archive, signal)) {
		const name = memberName(member.name);
		if (member.target !== undefined) links.set(name, targetOf(name, member));
		if (member.type !== 'file') continue;
		const saved = await keep(name, member, keeping, signal);
		if (saved.content !== undefined && 'bytes' in saved.content) memory += saved.size;
		if (memory > MAX_MEMORY) throw tooLarge();
		files.set(name, saved);
	}
	return (name) => {
		let at = memberName(name);
		for (let count = 0; count < MAX_LINKS && links.has(at); count += 1) at = links.get(at) ?? at;
		return files.get(at);
	};
}

async function keep(
	name: string,
	{ size, content }: ArrivingMember,
	{ isNeeded, directory }: Keeping,
	signal: AbortSignal,
): Promise<SavedMember> {
	const { start, all } = await takeStart(content[Symbol.asyncIterator](), JSON_START);
	const compression = compressionOf(start);
	if (size <= MAX_CONFIG_BYTES && /^\s*[[{]/.test(start.toString('latin1'))) {
		return { size, compression, digest: undefined, content: { bytes: await buffer(all) } };
	}
	const hash = compression === 'none' ? undefined : hasherFor(ANY);
	const counted = async function* () {
		for await (const chunk of all) {
			hash?.update(chunk);
			yield chunk;
		}
	};
	const path = isNeeded(name) ? join(await directory(), name.replaceAll('/', '_').slice(-200)) : undefined;
	if (path === undefined) await drain(counted());
	else
		await pipeline(
			Readable.from(counted(), { objectMode: false }),
			createWriteStream(path, { flags: 'wx', mode: 0o600 }),
			{ signal },
		);
	return { size, compression, digest: hash && finishDigest(hash), content: path === undefined ? undefined : { path } };
}

async function drain(chunks: AsyncIterator<Uint8Array>): Promise<void> {
	while ((await chunks.next()).done !== true);
}

function compressionOf(start: Buffer): LayerCompression {
	const found = sniffCompression(start);
	return found === 'gzip' || found === 'zstd' ? found : 'none';
}

function targetOf(name: string, { type, target = '' }: ArrivingMember): string {
	return memberName(posix.join(type === 'symlink' ? posix.dirname(name) : '.', target));
}

function tooLarge(): BuildError {
	return new BuildError('IMAGE_INVALID', `the documents of a saved image have more than ${MAX_MEMORY} bytes`, {
		hint: 'No engine saves such an image; look at what the program in PATH is.',
	});
}

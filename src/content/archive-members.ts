import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { BuildError } from '../errors.js';
import { type ArchiveMember, indexArchive } from '../tar/archive.js';
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

/** Indexes the image archive at `path`. Names are compared, never used as paths. Throws IMAGE_INVALID when it is not a tar. */
export async function openMembers(path: string, signal: AbortSignal): Promise<ArchiveMembers> {
	const members = await indexed(path, signal);
	const find = (name: string): ArchiveMember | undefined => {
		let at = normalised(name);
		for (let links = 0; links <= MAX_LINKS; links += 1) {
			const member = members.get(at);
			if (member?.target === undefined) return member?.type === 'file' ? member : undefined;
			const from = member.type === 'symlink' ? posix.dirname(at) : '.';
			at = normalised(posix.join(from, member.target));
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
			const what = `${JSON.stringify(name.slice(0, 100))} in ${path}`;
			if (member !== undefined) return readBytes(open(member), limit, what);
			throw new BuildError('IMAGE_INVALID', `${what} is missing`, {
				hint: 'Check that the archive was written completely.',
			});
		},
	};
}

async function indexed(path: string, signal: AbortSignal): Promise<ReadonlyMap<string, ArchiveMember>> {
	try {
		const members = await indexArchive(path, signal);
		return new Map(members.map((member) => [normalised(member.name), member]));
	} catch (error) {
		signal.throwIfAborted();
		throw unreadable(`the image archive ${path}`, error);
	}
}

function normalised(name: string): string {
	return posix.normalize(name).replace(/^\/+/, '').replace(/\/+$/, '');
}

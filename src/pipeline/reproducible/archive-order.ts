import { createHash } from 'node:crypto';
import { latin1Path, printablePath } from '../../root-path.js';
import { createTarReader } from '../../tar/reader.js';
import type { Explanation } from './difference.js';

/** One member of an archive, in the archive's order. */
export interface ArchiveMember {
	readonly name: string;
	/** Equal for equal content. */
	readonly content: string;
	/** Everything of its header that is neither name nor content, as times. */
	readonly times: string;
}

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_ENTRY = 0x04034b50;
const END_SIZE = 22;
const MAX_COMMENT = 65_535;
const ENTRY_SIZE = 46;

/** The members of a zip or jar file (PKWARE APPNOTE 4.3.12), undefined when it is none. */
export function readZipMembers(bytes: Buffer): readonly ArchiveMember[] | undefined {
	if (bytes.length < END_SIZE || bytes.readUInt32LE(0) !== LOCAL_ENTRY) return undefined;
	const end = findEnd(bytes);
	if (end === undefined) return undefined;
	const members: ArchiveMember[] = [];
	let at = bytes.readUInt32LE(end + 16);
	for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
		if (at + ENTRY_SIZE > bytes.length || bytes.readUInt32LE(at) !== DIRECTORY_ENTRY) return undefined;
		const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => bytes.readUInt16LE(at + field)) as [
			number,
			number,
			number,
		];
		const extra = at + ENTRY_SIZE + nameLength;
		members.push({
			name: bytes.toString('latin1', at + ENTRY_SIZE, extra),
			content: `${bytes.readUInt32LE(at + 16)} ${bytes.readUInt32LE(at + 24)}`,
			times: bytes.toString('hex', at + 12, at + 16) + bytes.toString('hex', extra, extra + extraLength),
		});
		at = extra + extraLength + commentLength;
	}
	return members;
}

/** The members of a tar file, undefined when it is none. */
export function readTarMembers(bytes: Buffer): readonly ArchiveMember[] | undefined {
	if (bytes.length < 512 || bytes.toString('latin1', 257, 262) !== 'ustar') return undefined;
	const members: ArchiveMember[] = [];
	let hash = createHash('sha256');
	let current = { name: '', times: '', what: '' };
	const reader = createTarReader({
		entry: ({ path, mtime, type, mode, uid, gid, linkPath }) => {
			hash = createHash('sha256');
			current = { name: path, times: String(mtime), what: `${type} ${mode} ${uid} ${gid} ${linkPath}` };
		},
		data: (chunk) => void hash.update(chunk),
		close: () => {
			const { name, times, what } = current;
			members.push({ name, times, content: `${what} ${hash.digest('hex')}` });
		},
	});
	try {
		reader.write(bytes);
		reader.end();
		return members;
	} catch {
		return undefined;
	}
}

/** How two archives that are not the same bytes differ. */
export function explainMembers(first: readonly ArchiveMember[], second: readonly ArchiveMember[]): Explanation {
	const others = new Map(second.map((member) => [member.name, member]));
	const changed = first.filter(({ name, content }) => others.get(name)?.content !== content);
	const names = (members: readonly ArchiveMember[]) => members.map(({ name }) => name).join('\0');
	if (changed.length > 0 || first.length !== second.length) {
		const [name] = changed.length > 0 ? changed : [first.length > second.length ? first.at(-1) : second.at(-1)];
		return {
			cause: 'members',
			reason: `is an archive of other members, such as ${printablePath(latin1Path(name?.name ?? ''))}`,
		};
	}
	if (names(first) !== names(second)) {
		return { cause: 'member-order', reason: 'is an archive of the same members in another order' };
	}
	const timed = first.find(({ name, times }) => others.get(name)?.times !== times);
	if (timed === undefined)
		return { cause: 'unknown', reason: 'is an archive of the same members, written differently' };
	return {
		cause: 'member-times',
		reason: `is an archive with the times of its members, such as ${printablePath(latin1Path(timed.name))}`,
	};
}

function findEnd(bytes: Buffer): number | undefined {
	const lowest = Math.max(0, bytes.length - END_SIZE - MAX_COMMENT);
	for (let at = bytes.length - END_SIZE; at >= lowest; at--) {
		if (bytes.readUInt32LE(at) === END_OF_DIRECTORY) return at;
	}
	return undefined;
}

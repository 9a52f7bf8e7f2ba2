import { createHash } from 'node:crypto';
import { latin1Path, printablePath } from '../../root-path.js';
import { createTarReader } from '../../tar/reader.js';
import type { Explanation } from './difference.js';

/** One member of an archive, in the archive's order. */
export interface ComparedMember {
	readonly name: string;
	/** Equal for equal content. */
	readonly content: string;
	/** Everything of its header that is neither name nor content, as times. */
	readonly times: string;
}

const LOCAL_ENTRY = 0x04034b50;

/** The members of a zip or jar file (PKWARE APPNOTE 4.3.12), undefined when it is none or damaged. */
export async function readZipMembers(bytes: Buffer): Promise<readonly ComparedMember[] | undefined> {
	if (bytes.length < 4 || bytes.readUInt32LE(0) !== LOCAL_ENTRY) return undefined;
	const { fromBufferPromise } = await import('yauzl');
	const members: ComparedMember[] = [];
	try {
		const zip = await fromBufferPromise(bytes, { decodeStrings: false });
		for await (const { fileNameRaw, crc32, uncompressedSize, ...entry } of zip.eachEntry()) {
			members.push({
				name: fileNameRaw.toString('latin1'),
				content: `${crc32} ${uncompressedSize}`,
				times: `${entry.lastModFileDate} ${entry.lastModFileTime} ${entry.extraFieldRaw.toString('hex')}`,
			});
		}
		return members;
	} catch {
		return undefined;
	}
}

/** The members of a tar file, undefined when it is none. */
export function readTarMembers(bytes: Buffer): readonly ComparedMember[] | undefined {
	if (bytes.length < 512 || bytes.toString('latin1', 257, 262) !== 'ustar') return undefined;
	const members: ComparedMember[] = [];
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
export function explainMembers(first: readonly ComparedMember[], second: readonly ComparedMember[]): Explanation {
	const others = new Map(second.map((member) => [member.name, member]));
	const changed = first.filter(({ name, content }) => others.get(name)?.content !== content);
	const names = (members: readonly ComparedMember[]) => members.map(({ name }) => name).join('\0');
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

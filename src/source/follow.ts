import { realpath, stat } from 'node:fs/promises';
import { errnoOf } from '../errors.js';
import { fsPath, latin1Path, parentOf, printablePath, type RawPath, type RootPath } from '../root-path.js';
import { isInside } from './context-dir.js';
import { entryOf, type Place, type SourceEntry, sourceInvalid, staysBelow, unreadable } from './scan.js';

const MAX_ENTRIES = 500_000;
const MAX_BYTES = 8 * 1024 ** 3;

/** Links of one source that were replaced by what they point to. */
export interface Follower {
	readonly follow: (entry: SourceEntry, place: Place) => Promise<SourceEntry>;
	/** The links, in the order in which they were met. */
	readonly followed: readonly SourceEntry[];
	/** Links that remain though they lead to something that S2I would build a copy of. */
	readonly kept: readonly RootPath[];
}

/**
 * Replaces links that leave the source by the file or directory they point to, as S2I does. For directories of the user only: what a
 * repository or an archive links to is not its to give. Links that stay inside, lead nowhere or lead to a device remain. `destination` is
 * the real path to which the source is copied. Throws SOURCE_INVALID for a link to what holds the link or the destination, which
 * would never end, and when links bring more than 500,000 entries or 8 GiB.
 */
export function createFollower(destination: RawPath): Follower {
	const followed: SourceEntry[] = [];
	const kept: RootPath[] = [];
	const counted = createCounter();
	return {
		followed,
		kept,
		follow: async (entry, place) => {
			const target = await targetOf(entry, place);
			if (target === undefined && (await leadsSomewhere(entry))) kept.push(entry.path);
			if (target === undefined) return place.chain.length === 1 ? entry : counted(entry);
			if (target.type === 'directory') checkTarget(entry, target.host, [place.host, ...place.chain, destination]);
			followed.push(entry);
			return counted(target);
		},
	};
}

function createCounter(): (entry: SourceEntry) => SourceEntry {
	let entries = 0;
	let bytes = 0;
	return (entry) => {
		entries += 1;
		bytes += entry.type === 'file' ? entry.size : 0;
		if (entries <= MAX_ENTRIES && bytes <= MAX_BYTES) return entry;
		throw sourceInvalid(entry.path, 'is behind a symbolic link that leads to too many or too large files', {
			hint: 'Links that leave the source are copied; name them in .s2iignore, or keep them with --keep-symlinks.',
		});
	};
}

async function leadsSomewhere(entry: SourceEntry): Promise<boolean> {
	if (entry.target === undefined) return false;
	const found = await stat(fsPath(entry.host)).catch(() => undefined);
	return found?.isFile() === true || found?.isDirectory() === true;
}

async function targetOf(entry: SourceEntry, place: Place): Promise<SourceEntry | undefined> {
	if (entry.target === undefined || staysBelow(place.base, parentOf(entry.path), entry.target)) return undefined;
	try {
		const host = latin1Path(await realpath(fsPath(entry.host), { encoding: 'latin1' }));
		const found = await stat(fsPath(host));
		return found.isFile() || found.isDirectory() ? entryOf(entry.path, host, found) : undefined;
	} catch (cause) {
		if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(cause) ?? '')) return undefined;
		throw unreadable(entry.path, cause);
	}
}

function checkTarget(entry: SourceEntry, target: RawPath, outside: readonly RawPath[]): void {
	if (!outside.some((path) => isInside(path, target))) return;
	throw sourceInvalid(
		entry.path,
		`is a symbolic link to ${printablePath(target)}, which holds the link itself or the store`,
		{
			hint: 'Links that leave the source are copied; name this one in .s2iignore, or keep it with --keep-symlinks.',
		},
	);
}

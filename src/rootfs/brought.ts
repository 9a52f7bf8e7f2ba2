import { accessSync, type BigIntStats, constants, lstatSync, statfsSync } from 'node:fs';
import { filesOpenForWriting } from '../linux/open-files.js';
import { fsPath, joinRaw, parentOf, type RawPath, ROOT, type RootPath } from '../root-path.js';
import { type Stamps, stampOf } from './stamps.js';
import type { UpperEntry } from './upper.js';

/** Tells what assemble changed in the root filesystem of a job from what the job itself brought there or writes. */
export interface Brought {
	/** `changes` as far as assemble made them, and which of them were in the image before. */
	readonly without: (changes: readonly UpperEntry[]) => readonly UpperEntry[];
}

/** Of statfs(2). */
const OVERLAY = 0x794c7630;

/**
 * Remembers what processes have open now, before assemble begins; `stamps` are those of this moment, below `root`. Not the work of assemble
 * are: files that a process has open for writing now, or when nothing of assemble is left any more; files that are not the image's and have
 * their bytes and time of writing still, whatever their modes; what belongs to another user, if this one is not root, and was not there
 * before or could not be written to.
 */
export function openBrought(root: RawPath, stamps: Stamps, isDeclared: (path: RootPath) => boolean): Brought {
	const me = process.getuid?.() ?? 0;
	const open = stamps.size === 0 ? new Set<never>() : filesOpenForWriting();
	const known = new Set([...stamps.values()].map(({ inode }) => inode));
	const ofImage = imageInodes(root, stamps, isDeclared);
	const look = (path: RootPath) => lstatSync(fsPath(joinRaw(root, path)), { bigint: true, throwIfNoEntry: false });
	const isOthers = (path: RootPath, stats: BigIntStats): boolean => {
		if (me === 0 || Number(stats.uid) === me) return false;
		const before = stamps.get(path);
		if (before === undefined) return !known.has(stats.ino);
		const isWritten = before.size !== stats.size || before.modified !== stats.mtimeNs;
		return stats.isFile() && before.inode === stats.ino && isWritten && !isWritable(joinRaw(root, path));
	};
	const isKept = (path: RootPath, stats: BigIntStats): boolean => {
		const before = stamps.get(path);
		if (before === undefined || isDeclared(path)) return false;
		const { inode, size, modified } = stampOf(stats);
		return before.inode === inode && before.size === size && before.modified === modified;
	};
	const isJobs = ({ path, type }: UpperEntry, held: ReadonlySet<string>): boolean => {
		if (type === 'whiteout') return !isDeclared(path);
		const stats = type === 'directory' ? undefined : look(path);
		if (stats === undefined) return false;
		return held.has(`${stats.dev}:${stats.ino}`) || isKept(path, stats) || isOthers(path, stats);
	};
	const isJobsDirectory = ({ path, type }: UpperEntry): boolean => {
		if (type !== 'directory' || isDeclared(path)) return false;
		const stats = look(path);
		return stamps.has(path) || (stats !== undefined && isOthers(path, stats));
	};
	const judged = (entry: UpperEntry): UpperEntry => {
		if (entry.type === 'whiteout') return entry;
		// Only root can give files away, so another's file was there before.
		if (me !== 0 && entry.uid !== me) return { ...entry, copiedUp: true };
		const owner = ofImage?.get(look(entry.path)?.ino ?? 0n);
		return ofImage === undefined ? entry : { ...entry, copiedUp: owner === BigInt(entry.uid) };
	};
	return {
		without: (changes) => {
			const held = new Set([...open, ...filesOpenForWriting()]);
			const own = changes.filter((entry) => !isJobs(entry, held));
			const needed = parentsOf(own.filter((entry) => !isJobsDirectory(entry)));
			return own.filter((entry) => !isJobsDirectory(entry) || needed.has(entry.path)).map(judged);
		},
	};
}

/**
 * On an overlay, the owners of the image's inodes: what is copied up there keeps its number, which no new file gets, but has a new birth.
 * Undefined elsewhere, where the birth tells a new file from one whose number it got.
 */
function imageInodes(
	root: RawPath,
	stamps: Stamps,
	isDeclared: (path: RootPath) => boolean,
): ReadonlyMap<bigint, bigint> | undefined {
	if (statfsSync(fsPath(root)).type !== OVERLAY) return undefined;
	return new Map([...stamps].flatMap(([path, { inode, uid }]) => (isDeclared(path) ? [[inode, uid] as const] : [])));
}

function parentsOf(entries: readonly UpperEntry[]): ReadonlySet<RootPath> {
	const parents = new Set<RootPath>();
	for (const { path } of entries) {
		for (let up = parentOf(path); up !== ROOT && !parents.has(up); up = parentOf(up)) parents.add(up);
	}
	return parents;
}

function isWritable(disk: RawPath): boolean {
	try {
		accessSync(fsPath(disk), constants.W_OK);
		return true;
	} catch {
		return false;
	}
}

import { accessSync, type BigIntStats, constants, lstatSync, statfsSync } from 'node:fs';
import { succeeds } from '../errors.js';
import { filesOpenForWriting } from '../linux/processes.js';
import { fsPath, isBelowAny, joinRaw, parentOf, type RawPath, ROOT, type RootPath } from '../root-path.js';
import { type FileUser, findHidden, type Judged, mayRead, mayWrite, type Sight } from './file-access.js';
import { type Stamp, type Stamps, stampOf } from './stamps.js';
import type { UpperEntry } from './upper.js';

/** Tells what assemble changed in the root filesystem of a job from what the job itself brought there or writes. */
export interface Brought {
	readonly without: (changes: readonly UpperEntry[]) => Found;
	/** Whether what `stats` are of, now at `path`, is not what assemble's user, being another one, had no right to read or make. */
	readonly isReadable: (path: RootPath, found: Judged) => boolean;
}

/** What is to be in the layer. */
export interface Found {
	/** The changes as far as assemble made them, and which of them were in the image before. */
	readonly changes: readonly UpperEntry[];
	/** Where assemble has put what its user could not read. */
	readonly hidden: readonly RootPath[];
}

/** What a root filesystem was before assemble. */
export interface Before {
	readonly root: RawPath;
	/** Below the root. */
	readonly stamps: Stamps;
	/** Whether the image has something at a path. */
	readonly isDeclared: (path: RootPath) => boolean;
	/** Whether what was at a path is the image's own. */
	readonly isImages: (path: RootPath, stamp: Stamp) => boolean;
	/** Who assemble runs as; undefined when it is this process's user. */
	readonly user: FileUser | undefined;
	/** Whether what is at a path has an access control list. */
	readonly hasAcl: (disk: RawPath) => boolean;
}

const SEES_ALL: Sight = { isHidden: () => false, isCopy: () => false };
/** Of statfs(2). */
const OVERLAY = 0x794c7630;

/**
 * Remembers what processes have open now, before assemble begins. Not the work of assemble are: files that a process has open for writing
 * now, or when nothing of assemble is left any more; files that are not the image's and have their bytes and time of writing still, whatever
 * their modes; what belongs to another user, if this one is not root, and was not there before or could not be written to; and, when root
 * looks at what another user did, what that user could not read (`findHidden`).
 */
export function openBrought(before: Before): Brought {
	const { root, stamps, isDeclared, user } = before;
	const own = process.getuid?.() ?? 0;
	const open = stamps.size === 0 ? new Set<never>() : filesOpenForWriting();
	const isOverlay = statfsSync(fsPath(root)).type === OVERLAY;
	const keyOf = (stats: Stamp | BigIntStats) => inodeKey(stats, isOverlay);
	const sight = user === undefined ? SEES_ALL : findHidden(stamps, user, before.isImages, keyOf);
	const isOthers = findOthers(before, user?.uid ?? own, { keyOf, sight });
	const ofImage = isOverlay ? imageInodes(stamps, isDeclared) : undefined;
	const look = (path: RootPath) => lstatSync(fsPath(joinRaw(root, path)), { bigint: true, throwIfNoEntry: false });
	const isKept = (path: RootPath, stats: BigIntStats): boolean => {
		const old = stamps.get(path);
		if (old === undefined || isDeclared(path)) return false;
		const { inode, size, modified } = stampOf(stats);
		return old.inode === inode && old.size === size && old.modified === modified;
	};
	const isJobs = ({ path, type }: UpperEntry, held: ReadonlySet<string>): boolean => {
		if (type === 'whiteout') return !isDeclared(path);
		const stats = type === 'directory' ? undefined : look(path);
		if (stats === undefined) return false;
		return held.has(`${stats.dev}:${stats.ino}`) || isKept(path, stats) || isOthers(path, stats);
	};
	const judge = (path: RootPath, stats: BigIntStats): boolean =>
		sight.isHidden({ stats, hasAcl: () => before.hasAcl(joinRaw(root, path)) });
	const isJobsDirectory = (entry: UpperEntry, hidden: ReadonlySet<UpperEntry>): boolean => {
		const { path, type } = entry;
		if (type !== 'directory' || isDeclared(path)) return false;
		const stats = look(path);
		return stamps.has(path) || hidden.has(entry) || (stats !== undefined && isOthers(path, stats));
	};
	const isMoved = ({ path, type }: UpperEntry): boolean => {
		const stats = type === 'whiteout' ? undefined : look(path);
		if (stats === undefined) return false;
		// The image's own directories are changed by what is put in them; another one in their place is judged.
		const isSame = type === 'directory' && stamps.get(path)?.inode === stats.ino;
		return !isSame && judge(path, stats);
	};
	const isUsers = ({ path }: UpperEntry): boolean => Number(look(path)?.uid ?? -1n) === user?.uid;
	const judged = (entry: UpperEntry): UpperEntry => {
		if (entry.type === 'whiteout') return entry;
		// Only root can give files away, so another's file was there before.
		if (own !== 0 && entry.uid !== own) return { ...entry, copiedUp: true };
		const owner = ofImage?.get(look(entry.path)?.ino ?? 0n);
		return ofImage === undefined ? entry : { ...entry, copiedUp: owner === BigInt(entry.uid) };
	};
	return {
		without: (changes) => {
			const held = new Set([...open, ...filesOpenForWriting()]);
			const made = changes.filter((entry) => !isJobs(entry, held));
			const hidden = withBelow(made, new Set(made.filter(isMoved)), isUsers);
			const ours = made.filter((entry) => entry.type === 'directory' || !hidden.has(entry));
			const isNeedless = (entry: UpperEntry) => isJobsDirectory(entry, hidden);
			const needed = parentsOf(ours.filter((entry) => !isNeedless(entry)));
			const kept = ours.filter((entry) => !isNeedless(entry) || needed.has(entry.path));
			return { changes: kept.map(judged), hidden: [...hidden].map(({ path }) => path) };
		},
		isReadable: (path, found) => user === undefined || !(isOthers(path, found.stats) || sight.isHidden(found)),
	};
}

/** `moved`, and what of `made` is below them: a user who could not enter a directory could read nothing there, whatever its number and mode say. */
function withBelow(
	made: readonly UpperEntry[],
	moved: ReadonlySet<UpperEntry>,
	isUsers: (entry: UpperEntry) => boolean,
): ReadonlySet<UpperEntry> {
	const shut = new Set([...moved].flatMap(({ path, type }) => (type === 'directory' ? [path] : [])));
	if (shut.size === 0) return moved;
	return new Set([...moved, ...made.filter((entry) => isBelowAny(entry.path, shut) && !isUsers(entry))]);
}

/** Whether what is at a path now was made or written by another user than `me`, with rights that `me` had not. */
function findOthers(
	{ root, stamps, user }: Before,
	me: number,
	{ keyOf, sight }: { readonly keyOf: (stats: Stamp | BigIntStats) => string; readonly sight: Sight },
): (path: RootPath, stats: BigIntStats) => boolean {
	const known = me === 0 ? new Set<string>() : new Set([...stamps.values()].map(keyOf));
	return (path, stats) => {
		if (me === 0 || Number(stats.uid) === me) return false;
		const old = stamps.get(path);
		const isKnown = known.has(keyOf(stats));
		// An overlay gives a file of several links another number when it copies that up, as it does for a rename.
		if (old === undefined) return !isKnown && !sight.isCopy(stats);
		if (user !== undefined && !isKnown) return !isCopiedUp(user, old, stats) && !sight.isCopy(stats);
		if (!isWritten(old, stats)) return false;
		const isWritable = () => succeeds(() => accessSync(fsPath(joinRaw(root, path)), constants.W_OK));
		return user === undefined ? !isWritable() : !mayWrite(user, old);
	};
}

function isWritten(old: Stamp, stats: BigIntStats): boolean {
	const isSame = stats.isFile() && old.inode === stats.ino;
	return isSame && (old.size !== stats.size || old.modified !== stats.mtimeNs);
}

/** Not every overlay gives what it copies up, as it does for a write, the number that it had. */
function isCopiedUp(user: FileUser, old: Stamp, stats: BigIntStats): boolean {
	return stats.uid === old.uid && mayWrite(user, old) && mayRead(user, stats);
}

/**
 * On an overlay, the owners of the image's inodes: what is copied up there keeps its number, which no new file gets, but has a new birth.
 * Elsewhere the birth tells a new file from one whose number it got.
 */
function imageInodes(stamps: Stamps, isDeclared: (path: RootPath) => boolean): ReadonlyMap<bigint, bigint> {
	return new Map([...stamps].flatMap(([path, { inode, uid }]) => (isDeclared(path) ? [[inode, uid] as const] : [])));
}

/** Numbers are given again once they are free, and only the birth tells; an overlay has another birth for what it copied up. */
function inodeKey(stats: Stamp | BigIntStats, isOverlay: boolean): string {
	const { device, inode, born } = 'inode' in stats ? stats : stampOf(stats);
	return isOverlay ? `${device}:${inode}` : `${device}:${inode}:${born}`;
}

function parentsOf(entries: readonly UpperEntry[]): ReadonlySet<RootPath> {
	const parents = new Set<RootPath>();
	for (const { path } of entries) {
		for (let up = parentOf(path); up !== ROOT && !parents.has(up); up = parentOf(up)) parents.add(up);
	}
	return parents;
}

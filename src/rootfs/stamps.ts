import { type BigIntStats, lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Libc } from '../linux/libc.js';
import { childOf, fsPath, nameIn, parentOf, type RawPath, ROOT, type RootPath } from '../root-path.js';
import { createIndexBudget, tooLargeLayer } from './index-budget.js';
import { type Opener, unlessGone, withTree } from './open-tree.js';
import { checkLength, countUpper, readUpper, type UpperEntry } from './upper.js';

/** What no change leaves as it is: a write, a chmod or a rename sets the inode's change time, which no program can set back. */
export interface Stamp {
	readonly device: bigint;
	readonly inode: bigint;
	/** Nanoseconds. */
	readonly changed: bigint;
	/** Nanoseconds; programs can set it. */
	readonly modified: bigint;
	readonly size: bigint;
	readonly mode: bigint;
	readonly uid: bigint;
	readonly gid: bigint;
	/** Birth, in nanoseconds; 0 where the file system does not know. */
	readonly born: bigint;
}

/** The stamps of every entry below one directory. */
export type Stamps = ReadonlyMap<RootPath, Stamp>;

/** The names in the directory `path`, which is at `disk`, as raw bytes. */
export type ListDirectory = (path: RootPath, disk: RawPath) => readonly string[];

/** What is walked, and how. */
export interface Walk {
	readonly root: RawPath;
	/** Left out, with all below. */
	readonly skip: ReadonlySet<RootPath>;
	readonly list?: ListDirectory;
	/** What the walk begins with; the root when undefined. */
	readonly from?: RootPath;
}

/** Stamps every entry. Costs one lstat an entry. What vanishes meanwhile is left out. */
export function stampTree(walk: Walk, libc: Opener): Stamps {
	const stamps = new Map<RootPath, Stamp>();
	visitAll(walk, libc, ({ path, stamp }) => void stamps.set(path, stamp));
	return stamps;
}

/**
 * Waits until the clock that the kernel takes change times from has gone past every stamp: it moves in ticks of some milliseconds, and
 * a change within the tick of its stamp would go unseen. `scratch` is a directory on the same file system.
 */
export function awaitNextTick(stamps: Stamps, scratch: string): void {
	const newest = [...stamps.values()].reduce((max, { changed }) => (changed > max ? changed : max), 0n);
	const probe = join(scratch, 'tick');
	const limit = performance.now() + 1000;
	do writeFileSync(probe, '');
	while (lstatSync(probe, { bigint: true }).ctimeNs <= newest && performance.now() < limit);
	rmSync(probe);
}

/**
 * What is different from what `stamps` say, as overlay would show it in an upper directory: changed entries as they are
 * now, and a whiteout for each stamped path that is gone from a directory that is still there.
 */
export function scanChanges(walk: Walk, stamps: Stamps, libc: Libc | undefined): readonly UpperEntry[] {
	const owners = new Map([...stamps.values()].map((stamp) => [identityOf(stamp), stamp.uid]));
	const directories = new Set<RootPath>();
	const seen = new Set<RootPath>();
	const found: UpperEntry[] = [];
	const budget = createIndexBudget(tooLargeLayer);
	visitAll(walk, libc, ({ path, disk, stamp, isDirectory }) => {
		seen.add(path);
		if (isDirectory) directories.add(path);
		if (isEqual(stamps.get(path), stamp)) return;
		const entry = unlessGone(() => readUpper(path, disk, libc));
		// The inode number of a file that was deleted is given to the next one, which may be another user's.
		if (entry === undefined) return;
		countUpper(entry, budget);
		found.push({ ...entry, copiedUp: owners.get(identityOf(stamp)) === stamp.uid });
	});
	for (const path of stamps.keys()) {
		if (!seen.has(path) && directories.has(parentOf(path)) && !walk.skip.has(path)) found.push(whiteout(path));
	}
	return found;
}

interface Visited {
	readonly path: RootPath;
	readonly disk: RawPath;
	readonly stamp: Stamp;
	readonly isDirectory: boolean;
}

function visitAll({ root, skip, list = listNames, from = ROOT }: Walk, libc: Opener, visit: (found: Visited) => void) {
	const pending: RootPath[] = [];
	const look = (path: RootPath, disk: RawPath) => {
		const stats = lstatSync(fsPath(disk), { bigint: true, throwIfNoEntry: false });
		if (stats === undefined) return;
		const isDirectory = stats.isDirectory();
		visit({ path, disk, stamp: stampOf(stats), isDirectory });
		if (isDirectory) pending.push(path);
	};
	const enter = (path: RootPath, directory: RawPath) => {
		for (const name of list(path, directory)) {
			const child = childOf(path, name);
			if (skip.has(child)) continue;
			checkLength(child);
			look(child, nameIn(directory, name));
		}
	};
	withTree(root, libc, (tree) => {
		unlessGone(() => look(from, tree.entry(from)));
		for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
			const here = path;
			unlessGone(() => enter(here, tree.directory(here)));
		}
	});
}

/** The stamp of what `stats` are of. */
export function stampOf({ dev, ino, ctimeNs, mtimeNs, size, mode, uid, gid, birthtimeNs }: BigIntStats): Stamp {
	return { device: dev, inode: ino, changed: ctimeNs, modified: mtimeNs, size, mode, uid, gid, born: birthtimeNs };
}

function listNames(_: RootPath, disk: RawPath): readonly string[] {
	return readdirSync(fsPath(disk), { encoding: 'latin1' });
}

function identityOf({ inode, born }: Stamp): string {
	return `${inode} ${born}`;
}

function isEqual(old: Stamp | undefined, now: Stamp): boolean {
	if (old === undefined) return false;
	return old.inode === now.inode && old.changed === now.changed && old.size === now.size && old.mode === now.mode;
}

function whiteout(path: RootPath): UpperEntry {
	const nothing = { mode: 0, uid: 0, gid: 0, size: 0, mtime: 0, xattrs: new Map<string, Buffer>() };
	return { path, type: 'whiteout', ...nothing, opaque: false, copiedUp: false };
}

import fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { attempt } from '../errors.js';
import { namesIn } from '../file-text.js';
import type { Libc } from '../linux/libc.js';
import { makePath } from '../make-path.js';
import { readMountPoints } from '../mountinfo.js';
import { removeTree } from '../remove-tree.js';
import { rawPath } from '../root-path.js';
import { removeLargeTree } from './remove-large-tree.js';

/** How long a scratch directory may exist before its worker has locked it. */
const GRACE_MS = 600_000;

/**
 * Locks the scratch directory for as long as this process lives. The lock file lies next to the directory, so that a directory is never
 * half removed by two builds.
 */
export function lockScratch(scratch: string, libc: Libc): void {
	// Whoever finds a lock file that is not locked takes its build for dead, so it is locked before it gets its name.
	const lock = join(scratch, 'lock');
	libc.tryLock(fs.openSync(lock, 'w', 0o600));
	fs.renameSync(lock, `${scratch}.lock`);
}

/** Shows whoever watches this process that its clean-up began: the lock file is not empty any more. */
export function markCleaning(scratch: string): void {
	// Where the disk is full, too.
	attempt(() => fs.truncateSync(`${scratch}.lock`, 1));
}

/** Removes the directories beside `scratch` whose builds died without a word. That may take long, and nothing here stops it. */
export function removeAbandoned(scratch: string, libc: Libc): void {
	const siblings = dirname(scratch);
	// None when the store has gone meanwhile, which whoever needs it will say.
	for (const name of new Set(namesIn(siblings).map((entry) => basename(entry, '.lock')))) {
		if (name !== basename(scratch)) removeIfAbandoned(join(siblings, name), libc);
	}
}

/** Leaves the scratch directory to the next worker of the same build, as if none had been there. */
export function unlockScratch(scratch: string): void {
	fs.rmSync(`${scratch}.lock`, { force: true });
}

/** Removes the scratch directory, or moves it to `keepAs`, and removes its lock. */
export async function removeScratch(scratch: string, keepAs?: string): Promise<void> {
	refuseMounts(scratch);
	if (keepAs === undefined) await removeLargeTree(rawPath(scratch));
	else {
		makePath(dirname(keepAs), 0o700);
		fs.renameSync(scratch, keepAs);
	}
	unlockScratch(scratch);
}

function removeNow(scratch: string): void {
	refuseMounts(scratch);
	removeTree(rawPath(scratch));
	unlockScratch(scratch);
}

/** What is mounted below may be a directory of the user's, which removing would empty. Throws when something is. */
function refuseMounts(scratch: string): void {
	if (!fs.existsSync(scratch)) return;
	const below = `${rawPath(fs.realpathSync(scratch))}/`;
	if (readMountPoints().some((path) => path.startsWith(below))) throw new Error(`something is mounted in ${scratch}`);
}

function removeIfAbandoned(scratch: string, libc: Libc): void {
	try {
		const lock = fs.openSync(`${scratch}.lock`, 'r+');
		try {
			const isCurrent = libc.tryLock(lock) && fs.fstatSync(lock).ino === fs.statSync(`${scratch}.lock`).ino;
			if (isCurrent) removeNow(scratch);
		} finally {
			fs.closeSync(lock);
		}
	} catch {
		removeUnlocked(scratch);
	}
}

function removeUnlocked(scratch: string): void {
	// Another build may be removing it, or it belongs to another user of a shared store.
	attempt(() => {
		if (Date.now() - fs.lstatSync(scratch).mtimeMs > GRACE_MS) removeNow(scratch);
	});
}

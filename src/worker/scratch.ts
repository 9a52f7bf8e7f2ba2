import {
	closeSync,
	mkdirSync,
	openSync,
	readdirSync,
	renameSync,
	rmdirSync,
	rmSync,
	statSync,
	unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Libc } from '../linux/libc.js';

/** How long a scratch directory may exist before its worker has locked it. */
const SLASH = Buffer.from('/');
const GRACE_MS = 600_000;

/**
 * Locks the scratch directory for as long as this process lives, and removes those beside it whose builds died without a word. The lock
 * file lies next to the directory, so that a directory is never half removed by two builds.
 */
export function lockScratch(scratch: string, libc: Libc): void {
	libc.tryLock(openSync(`${scratch}.lock`, 'w', 0o600));
	const siblings = dirname(scratch);
	for (const name of new Set(readdirSync(siblings).map((entry) => basename(entry, '.lock')))) {
		if (name !== basename(scratch)) removeAbandoned(join(siblings, name), libc);
	}
}

/** Removes the tree at `path`; several times as fast as rmSync for many small files, which asks for the type of each. */
export function removeTree(path: string): void {
	const remove = (directory: Buffer) => {
		for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
			const below = Buffer.concat([directory, SLASH, entry.name]);
			if (entry.isDirectory()) remove(below);
			else unlinkSync(below);
		}
		rmdirSync(directory);
	};
	try {
		remove(Buffer.from(path));
	} catch {
		rmSync(path, { recursive: true, force: true });
	}
}

/** Removes the scratch directory, or moves it to `keepAs`, and removes its lock. */
export function removeScratch(scratch: string, keepAs?: string): void {
	if (keepAs === undefined) removeTree(scratch);
	else keep(scratch, keepAs);
	rmSync(`${scratch}.lock`, { force: true });
}

function keep(scratch: string, path: string): void {
	mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
	renameSync(scratch, path);
}

function removeAbandoned(scratch: string, libc: Libc): void {
	try {
		const lock = openSync(`${scratch}.lock`, 'r+');
		try {
			if (libc.tryLock(lock)) removeScratch(scratch);
		} finally {
			closeSync(lock);
		}
	} catch {
		removeUnlocked(scratch);
	}
}

function removeUnlocked(scratch: string): void {
	try {
		if (Date.now() - statSync(scratch).mtimeMs > GRACE_MS) removeScratch(scratch);
	} catch {
		// Another build is removing it, or it belongs to another user of a shared store.
	}
}

import type { Stats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { errnoOf } from './errors.js';
import { partsOf } from './root-path.js';

const MAX_LINKS = 40;

/**
 * `path` without links, as far as it exists; `check`, which may throw, hears of each link that is followed, by a path that is free of links.
 * Those in /proc lead to open files rather than to paths, and stay. Rejects with the error of the system, or one that says what is in the
 * way.
 */
export async function resolveLinks(path: string, check: (link: string, stats: Stats) => void): Promise<string> {
	const pending = partsOf(resolve(path));
	let here = '/';
	let links = 0;
	for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
		const next = part === '..' ? dirname(here) : join(here, part);
		if (next === '/proc') return join(next, ...pending);
		const found = await lookAt(next);
		if (found?.isSymbolicLink() !== true) {
			here = next;
			continue;
		}
		check(next, found);
		if (++links > MAX_LINKS) throw new Error('its links never end');
		const target = await readlink(next);
		if (target.startsWith('/')) here = '/';
		pending.unshift(...partsOf(target));
	}
	return here;
}

/** What `path` itself is; undefined where nothing is, or where nobody lets us look. */
export async function lookAt(path: string): Promise<Stats | undefined> {
	try {
		return await lstat(path);
	} catch (error) {
		if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return undefined;
		throw error;
	}
}

import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from './errors.js';

/**
 * Makes the directory `path`, which is absolute, with the parents that are missing, all with `mode`; one that is there stays as it is.
 * Unlike `mkdir` with `recursive`, it ends in /proc, where ENOENT is the answer to every mkdir(2), and calls a full quota by its name.
 * Throws the error of the system.
 */
export function makePath(path: string, mode = 0o777): void {
	const missing: string[] = [];
	for (let at = path; !isThere(at); at = dirname(at)) missing.push(at);
	for (const directory of missing.reverse()) makeOne(directory, mode);
	if (!statSync(path).isDirectory())
		throw Object.assign(new Error(`ENOTDIR: ${path} is no directory`), { code: 'ENOTDIR' });
}

/** Another process may make it at the same time. */
function makeOne(path: string, mode: number): void {
	try {
		mkdirSync(path, { mode });
	} catch (error) {
		if (errnoOf(error) !== 'EEXIST') throw error;
	}
}

function isThere(path: string): boolean {
	try {
		statSync(path);
		return true;
	} catch (error) {
		if (errnoOf(error) !== 'ENOENT' || path === dirname(path)) throw error;
		return false;
	}
}

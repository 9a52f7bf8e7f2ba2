import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { succeeds, unlessErrno } from './errors.js';

/**
 * Makes the directory `path`, which is absolute, with the parents that are missing, all with `mode`; one that is there stays as it is.
 * Unlike `mkdir` with `recursive`, it ends in /proc, where ENOENT is the answer to every mkdir(2), and calls a full quota by its name.
 * Throws the error of the system.
 */
export function makePath(path: string, mode = 0o777): void {
	const missing: string[] = [];
	for (let at = path; !isThere(at); at = dirname(at)) missing.push(at);
	// Another process may make it at the same time.
	for (const directory of missing.reverse()) unlessErrno(['EEXIST'], () => mkdirSync(directory, { mode }));
	if (!statSync(path).isDirectory())
		throw Object.assign(new Error(`ENOTDIR: ${path} is no directory`), { code: 'ENOTDIR' });
}

function isThere(path: string): boolean {
	return succeeds(() => statSync(path), path === dirname(path) ? [] : ['ENOENT']);
}

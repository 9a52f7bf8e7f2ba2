import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { succeeds } from './errors.js';

/** Where sandbox programs and id mappers are when PATH, as in many CI jobs, leaves the administrator's directories out. */
const SYSTEM_PATH: readonly string[] = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/local/sbin'];

/** The absolute path of a program of the host, searched in the absolute parts of `path` and in the system's directories. */
export function findProgram(name: string, path: string | undefined): string | undefined {
	const directories = [...(path ?? '').split(':').filter((part) => isAbsolute(part)), ...SYSTEM_PATH];
	return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
	return (
		succeeds(() => accessSync(path, constants.X_OK)) && statSync(path, { throwIfNoEntry: false })?.isFile() === true
	);
}

import { readdirSync, readFileSync } from 'node:fs';
import { attempt } from './errors.js';

/** The text of the file `path`, such as one of /proc; `''` where it cannot be read, for whatever reason. */
export function fileText(path: string): string {
	return attempt(() => readFileSync(path, 'utf8')) ?? '';
}

/** The names in the directory `path`; none where it cannot be read. */
export function namesIn(path: string): readonly string[] {
	return attempt(() => readdirSync(path)) ?? [];
}

import { readdirSync, readFileSync } from 'node:fs';

/** The text of the file `path`, such as one of /proc; `''` where it cannot be read, for whatever reason. */
export function fileText(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}

/** The names in the directory `path`; none where it cannot be read. */
export function namesIn(path: string): readonly string[] {
	try {
		return readdirSync(path);
	} catch {
		return [];
	}
}

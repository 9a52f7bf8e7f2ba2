import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import type { TestContext } from 'vitest';
import { findProgram } from './host.js';
import { needs } from './needs.js';
import { type TarMember, tarFile } from './tar.js';

/**
 * Members of a layer that bring `programs` of the host, with the libraries that they load, to /usr/local/bin of an image. Skips the test,
 * saying why, where one is missing.
 */
export function hostPrograms(context: TestContext, ...programs: readonly string[]): readonly TarMember[] {
	const files = new Map<string, Buffer>();
	for (const program of programs) {
		const path = findProgram(program);
		needs(context, path !== undefined, `${program} is not installed`);
		files.set(`usr/local/bin/${basename(path)}`, readFileSync(path));
		for (const library of librariesOf(path)) files.set(library.slice(1), readFileSync(realpathSync(library)));
	}
	return [...files].map(([name, bytes]) => tarFile(name, bytes, { mode: 0o755 }));
}

/** Absolute paths, as the dynamic loader prints them. */
function librariesOf(program: string): readonly string[] {
	const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n');
	return lines.flatMap((line) => /(?:=>\s+|^\s+)(\/\S+)\s+\(/.exec(line)?.[1] ?? []);
}

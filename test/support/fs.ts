import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../src/program.js';

/** Who may remove what a build left to subordinate ids, then what nobody may read or write, to a user who is not root. */
const REMOVERS: readonly (readonly string[])[] = [
	[],
	['unshare', '--map-root-user', '--map-auto'],
	['unshare', '--map-root-user'],
];

/** Removes a directory, also what a build of this user left to its subordinate ids, and what nobody may read. */
export function removeTree(path: string): void {
	try {
		rmSync(path, { recursive: true, force: true });
		return;
	} catch {
		// What is not ours, or too deep for a path, takes a program.
	}
	for (const remover of REMOVERS) {
		const [program, ...args] = [...remover, 'rm', '-rf', path];
		if (spawnSync(program, args, { stdio: 'ignore' }).status === 0) return;
	}
	throw new Error(`${path} cannot be removed`);
}

/** A new directory that disappears with the scope it is used in. */
export interface TemporaryDirectory extends Disposable {
	readonly path: string;
}

/** Makes an empty private directory below the system's, or below `parent`. */
export function temporaryDirectory(parent: string = tmpdir()): TemporaryDirectory {
	const path = mkdtempSync(join(parent, 's2oci-test-'));
	return {
		path,
		[Symbol.dispose]: () => {
			removeTree(path);
		},
	};
}

/** Everything below `directory`, one line an entry: path, type, mode, owner, mtime in ns and content. Equal lines, nothing changed. */
export function listTree(directory: string, ignore: readonly string[] = []): readonly string[] {
	const lines: string[] = [];
	const visit = (path: string, name: string) => {
		if (ignore.includes(name)) return;
		const stats = lstatSync(path, { bigint: true });
		const content = stats.isFile()
			? createHash('sha256').update(readFileSync(path)).digest('hex')
			: stats.isSymbolicLink()
				? readlinkSync(path)
				: '';
		lines.push([name, stats.mode.toString(8), stats.uid, stats.gid, stats.mtimeNs, content].join(' '));
		if (!stats.isDirectory()) return;
		for (const child of readdirSync(path).sort()) visit(join(path, child), name === '' ? child : `${name}/${child}`);
	};
	visit(directory, '');
	return lines;
}

/** Why a test cannot run here, to be shown with its skip: the programs of `names` that this host lacks. Undefined when it can. */
export function lacking(...names: readonly string[]): string | undefined {
	const missing = names.filter((name) => findProgram(name, process.env['PATH']) === undefined);
	return missing.length === 0 ? undefined : `not installed: ${missing.join(', ')}`;
}

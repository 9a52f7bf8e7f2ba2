import { chmodSync, lstatSync, readdirSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { errnoOf } from '../errors.js';
import { fsPath, nameIn, type RawPath } from '../root-path.js';

/**
 * Removes the tree at `path`, read-only directories included; nothing there is no error. Several times as fast as rmSync for many small
 * files, since it does not ask for the type of each. Nothing may be mounted below: what is mounted would be emptied.
 */
export function removeTree(path: RawPath): void {
	try {
		remove(path);
	} catch (error) {
		if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') {
			rmSync(fsPath(path), { force: true });
			return;
		}
		if (!['EACCES', 'EPERM', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error;
		openUp(path);
		remove(path);
	}
}

function remove(directory: RawPath): void {
	for (const entry of readdirSync(fsPath(directory), { withFileTypes: true, encoding: 'buffer' })) {
		const below = nameIn(directory, entry.name.toString('latin1'));
		if (entry.isDirectory()) remove(below);
		else unlinkSync(fsPath(below));
	}
	rmdirSync(fsPath(directory));
}

function openUp(path: RawPath): void {
	if (!lstatSync(fsPath(path)).isDirectory()) return;
	chmodSync(fsPath(path), 0o700);
	for (const name of readdirSync(fsPath(path), { encoding: 'latin1' })) openUp(nameIn(path, name));
}

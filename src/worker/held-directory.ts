import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { attempt, BuildError, errnoOf } from '../errors.js';
import { removeBeneath } from '../remove-tree.js';
import type { RawPath, RootPath } from '../root-path.js';
import { childOf, fdPath, fsPath, latin1Path, nameIn, O_PATH, printablePath, ROOT } from '../root-path.js';

/** A directory that is open, so that no rename makes another one of it. */
export interface HeldDirectory extends Disposable {
	/** By descriptor. Good until it is disposed of. */
	readonly path: RawPath;
	/** The directories that were made for it, outermost first. */
	readonly made: readonly RootPath[];
}

const ENTER = O_PATH | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW;
const OTHERS = 0o077;
const WRITE = 0o200;

/** Opens the directory `path`, below `root` and through no link, and makes what is missing with mode 0755. Throws IMAGE_UNSUPPORTED, system errors. */
export function holdDirectory(root: RawPath, path: RootPath): HeldDirectory {
	const made: RootPath[] = [];
	let here = fs.openSync(fsPath(root), ENTER & ~fs.constants.O_NOFOLLOW);
	let reached = ROOT;
	try {
		for (const name of path.split('/').filter((part) => part !== '')) {
			reached = childOf(reached, name);
			const { fd, isNew } = enterOrMake(nameIn(fdPath(here), name), reached);
			fs.closeSync(here);
			here = fd;
			if (isNew) made.push(reached);
		}
	} catch (error) {
		fs.closeSync(here);
		throw error;
	}
	return { path: fdPath(here), made, [Symbol.dispose]: () => fs.closeSync(here) };
}

/**
 * Has `fill` make something at the path that it is given, in a new directory that nobody but this process's user and root can reach, and
 * moves it to `name` in the directory at `parent`. So what `fill` gives to another user is never where that user can exchange it meanwhile.
 */
export async function fillApart(
	parent: RawPath,
	name: string,
	fill: (place: RawPath) => void | Promise<void>,
): Promise<void> {
	const stage = nameIn(parent, `.s2oci-${randomBytes(12).toString('hex')}`);
	fs.mkdirSync(fsPath(stage), { mode: 0o700 });
	const fd = fs.openSync(fsPath(stage), ENTER);
	try {
		const { uid, mode } = fs.fstatSync(fd);
		// Whoever may write to the parent may have put another directory there.
		if (uid !== process.geteuid?.() || (mode & OTHERS) !== 0) throw exchanged();
		const place = nameIn(fdPath(fd), './it');
		await fill(place);
		moveOut(place, nameIn(parent, name));
	} finally {
		removeBeneath(fdPath(fd), latin1Path('it'));
		fs.closeSync(fd);
		// Whoever moved it meanwhile has an empty directory.
		attempt(() => fs.rmdirSync(fsPath(stage)));
	}
}

/** A directory that its owner may not write to is moved by root alone. */
function moveOut(place: RawPath, destination: RawPath): void {
	const stats = fs.lstatSync(fsPath(place));
	if (!stats.isDirectory() || (stats.mode & WRITE) !== 0) {
		fs.renameSync(fsPath(place), fsPath(destination));
		return;
	}
	const fd = fs.openSync(fsPath(place), ENTER);
	try {
		fs.chmodSync(fdPath(fd), (stats.mode & 0o7777) | WRITE);
		fs.renameSync(fsPath(place), fsPath(destination));
		fs.chmodSync(fdPath(fd), stats.mode & 0o7777);
	} finally {
		fs.closeSync(fd);
	}
}

function enterOrMake(entry: RawPath, path: RootPath): { readonly fd: number; readonly isNew: boolean } {
	const open = () => fs.openSync(fsPath(entry), ENTER);
	try {
		return { fd: open(), isNew: false };
	} catch (error) {
		if (['ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw noDirectory(path, error);
		if (errnoOf(error) !== 'ENOENT') throw error;
	}
	fs.mkdirSync(fsPath(entry), { mode: 0o755 });
	return { fd: open(), isNew: true };
}

function exchanged(): Error {
	return Object.assign(new Error('another directory is in the place of a new one'), { code: 'ENOTDIR' });
}

function noDirectory(path: RootPath, cause: unknown): BuildError {
	return new BuildError('IMAGE_UNSUPPORTED', `"/${printablePath(path)}" of the image is no directory`, {
		hint: 'The build needs a directory there.',
		cause,
	});
}

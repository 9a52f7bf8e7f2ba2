import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { BuildError, unlessErrno } from '../errors.js';
import { partsOf, printablePath, rawPath } from '../root-path.js';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
const MAX_LINKS = 40;
const HINT =
	'In place, processes of the user of the image work beside root. With --store DIR or S2OCI_STORE name a directory below ones that only ' +
	'root may write, or that have the sticky bit (chmod +t DIR); without both, one is found, such as in /tmp.';

/**
 * Why a user other than root could put something else in the place of `path`, which is absolute, or of what is above it: a directory on the
 * way there, links included, in which that user may rename. Undefined where none could. What is not there yet is not judged, but for who may
 * make it. Names, owners and modes are looked at, and nothing is opened.
 */
export function exchangeable(path: string): string | undefined {
	const pending = partsOf(path).reverse();
	let here = '/';
	let links = 0;
	for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
		if (part === '..') {
			here = join(here, '..');
			continue;
		}
		const [directory, entry] = [lookAt(here), lookAt(join(here, part))];
		const reason = directory === undefined ? undefined : whoMayRename(here, directory, entry);
		if (reason !== undefined) return reason;
		if (links === MAX_LINKS) return undefined;
		if (entry?.isSymbolicLink() !== true) {
			here = join(here, part);
			continue;
		}
		links++;
		const target = linkAt(join(here, part));
		if (target === undefined) return `${JSON.stringify(join(here, part))} is changed meanwhile`;
		if (target.startsWith('/')) here = '/';
		pending.push(...partsOf(target).reverse());
	}
	return undefined;
}

/** Throws HOST_STORE when a user other than root could exchange `store`, which is absolute, while root works in it. */
export function refuseExchangeable(store: string): void {
	const reason = exchangeable(store);
	if (reason === undefined) return;
	const shown = printablePath(rawPath(store));
	throw new BuildError('HOST_STORE', `the store ${shown} cannot be trusted in place: ${reason}`, { hint: HINT });
}

/** Whoever owns a directory may rename in it, and so may who can write to it; with the sticky bit only what is its own. */
function whoMayRename(path: string, { uid, mode }: Stats, entry: Stats | undefined): string | undefined {
	const shown = JSON.stringify(path);
	if (uid !== 0) return `${shown} belongs to user ${uid}`;
	if ((mode & OTHERS_WRITE) === 0) return undefined;
	if ((mode & STICKY) === 0) return `users other than root may rename in ${shown}`;
	return entry === undefined || entry.uid === 0 ? undefined : `what is next in ${shown} belongs to user ${entry.uid}`;
}

function linkAt(path: string): string | undefined {
	return unlessErrno(['ENOENT', 'ENOTDIR', 'EINVAL', 'EACCES'], () => readlinkSync(path));
}

function lookAt(path: string): Stats | undefined {
	return unlessErrno(['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG'], () => lstatSync(path));
}

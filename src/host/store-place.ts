import { chmodSync, lstatSync, readdirSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, unlessErrno } from '../errors.js';
import { ownDirectory } from '../host-path.js';
import { partsOf, printablePath, rawPath } from '../root-path.js';
import { holdsLayers } from '../rootfs/stored-layers.js';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** What a store has, whatever else is where it is. */
const PARTS = /^(?:work|saved|images|built|reuse|unpushed|sandboxes|holds\.lock|(?:layers|indexes)-\d+)$/;

/**
 * The directory that is the store when `named` is named for it: `named` itself, or `s2oci-UID` in it where others may write there too,
 * as in /tmp or in the root of a volume. What others could have changed is refused before anything in it is read, as git does with a
 * repository of another user (safe.directory, CVE-2022-24765): a directory that is neither ours nor root's, links in the place of its
 * directories. Makes nothing; takes the write permission of others from what is ours, which volumes of Kubernetes give back at each start.
 * Throws HOST_STORE.
 */
export function findStore(named: string): string {
	const stats = openedStats(named);
	if (stats?.isDirectory() !== true) return named;
	if (!isTrusted(stats)) throw refused(named, `it belongs to user ${stats.uid}`, OWN_DIRECTORY);
	if (!isOpen(stats) || isOurOpenStore(named, stats)) return checkStore(named);
	return checkStore(ownDirectory(named));
}

const OWN_DIRECTORY =
	'Others could change what your builds see. Name a directory of your own, which may be in it: mkdir -m 700 DIR, and --store DIR or S2OCI_STORE=DIR.';
const ANOTHER = 'Remove it, or name another directory with --store DIR or S2OCI_STORE.';

/** Of what `path` is, or leads to, unless the link itself is somebody else's. */
function openedStats(path: string): Stats | undefined {
	const own = lookAt(path);
	if (own?.isSymbolicLink() !== true) return own;
	if (!isTrusted(own)) throw refused(path, `it is a link of user ${own.uid}`, ANOTHER);
	return lookAt(path, statSync);
}

function isOurOpenStore(path: string, stats: Stats): boolean {
	const work = lookAt(join(path, 'work'));
	return stats.uid === ourUid() && (stats.mode & STICKY) === 0 && work?.isDirectory() === true && work.uid === ourUid();
}

/** `store`, once it and the directories in it are closed to others. */
function checkStore(store: string): string {
	const stats = openedStats(store);
	if (stats === undefined) return store;
	checkPart(store, stats);
	const parts = listNames(store).filter((name) => PARTS.test(name));
	const layers = parts
		.filter(holdsLayers)
		.flatMap((name) => listNames(join(store, name)).map((each) => join(name, each)));
	for (const name of [...parts, ...layers]) {
		const path = join(store, name);
		const part = lookAt(path);
		if (part?.isSymbolicLink() === true) throw refused(path, 'a link is in the place of a part of the store', ANOTHER);
		if (part !== undefined) checkPart(path, part);
	}
	return store;
}

function checkPart(path: string, stats: Stats): void {
	if (!isTrusted(stats)) throw refused(path, `it belongs to user ${stats.uid}`, OWN_DIRECTORY);
	if (!isOpen(stats)) return;
	if (stats.uid !== ourUid()) throw refused(path, 'users other than root may write there', OWN_DIRECTORY);
	chmodSync(path, stats.mode & ~OTHERS_WRITE & 0o7777);
}

function listNames(directory: string): readonly string[] {
	// What is not ours to read, opening the store will say.
	return unlessErrno(['ENOENT', 'ENOTDIR', 'EACCES'], () => readdirSync(directory)) ?? [];
}

function lookAt(path: string, look: (path: string) => Stats = lstatSync): Stats | undefined {
	return unlessErrno(['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG'], () => look(path));
}

function isTrusted({ uid }: Stats): boolean {
	return uid === ourUid() || uid === 0;
}

function isOpen({ mode }: Stats): boolean {
	return (mode & OTHERS_WRITE) !== 0;
}

function ourUid(): number {
	return process.geteuid?.() ?? 0;
}

function refused(path: string, why: string, hint: string): BuildError {
	return new BuildError('HOST_STORE', `the store ${printablePath(rawPath(path))} cannot be trusted: ${why}`, { hint });
}

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

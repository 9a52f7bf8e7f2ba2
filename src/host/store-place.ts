import { chmodSync, lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, unlessErrno } from '../errors.js';
import { ownDirectory } from '../host-path.js';
import { printablePath, rawPath } from '../root-path.js';
import { holdsLayers } from '../rootfs/stored-layers.js';

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** What a store has, whatever else is where it is. */
const PARTS = /^(?:work|saved|images|built|sandboxes|holds\.lock|(?:layers|indexes)-\d+)$/;

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
	const own = lookAt(path, lstatSync);
	if (own?.isSymbolicLink() !== true) return own;
	if (!isTrusted(own)) throw refused(path, `it is a link of user ${own.uid}`, ANOTHER);
	return lookAt(path, statSync);
}

function isOurOpenStore(path: string, stats: Stats): boolean {
	const work = lookAt(join(path, 'work'), lstatSync);
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
		const part = lookAt(path, lstatSync);
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

function lookAt(path: string, look: (path: string) => Stats): Stats | undefined {
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

import { randomBytes } from 'node:crypto';
import { existsSync, statSync, utimesSync } from 'node:fs';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BuildError, isBuildError, messageOf, unlessErrno } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { spreadDirectories } from '../linux/ext4.js';
import { makePath } from '../make-path.js';
import { findStore } from './store-place.js';

const PRIVATE = 0o700;
/** Of what is only above the store, as assemble would make it. */
const PARENT = 0o755;
/** With the sticky bit, which says nothing more of a private directory: its own directories are spread, as far as they can be. */
const SPREAD = 0o1700;

/**
 * Makes a new private directory for one build in `store`, which {@link findStore} found, and the store where it is missing. Throws
 * HOST_NO_SPACE, HOST_STORE.
 */
export async function makeScratch(store: string): Promise<string> {
	const work = join(store, 'work');
	const scratch = join(work, randomBytes(6).toString('hex'));
	try {
		makeStore(store);
		// Somebody else may have made it meanwhile.
		if (findStore(store) !== store) throw new Error('others may write there');
		await spreadOnce(work);
		await mkdir(scratch, { mode: PRIVATE });
		// A store in a setgid directory would hand its group on to all that is made in it.
		await chmod(scratch, PRIVATE);
		return scratch;
	} catch (error) {
		if (isBuildError(error)) throw error;
		const refused = new BuildError('HOST_STORE', `the store ${store} cannot be written: ${messageOf(error)}`, {
			hint: 'Name a directory that you may write, on a disk with free space, with --store DIR or S2OCI_STORE.',
			cause: error,
		});
		throw noSpace(error, `the store ${store}`) ?? refused;
	}
}

/** A directory that is there may be an image's, and gets its time back. */
function makeStore(store: string): void {
	let there = dirname(store);
	while (!existsSync(there) && there !== dirname(there)) there = dirname(there);
	const before = statSync(there, { throwIfNoEntry: false });
	makePath(dirname(store), PARENT);
	makePath(join(store, 'work'), PRIVATE);
	if (before === undefined || statSync(there).mtimeMs === before.mtimeMs) return;
	unlessErrno(['EPERM'], () => utimesSync(there, before.atime, before.mtime));
}

/** Whoever made `work`: its mode says whether this was done. Another user's stays as it is. */
async function spreadOnce(work: string): Promise<void> {
	if (((await stat(work)).mode & 0o7777) === SPREAD) return;
	await spreadDirectories(work);
	await chmod(work, SPREAD).catch(() => undefined);
}

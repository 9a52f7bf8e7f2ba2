import { randomBytes } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import { spreadDirectories } from '../linux/ext4.js';

/** Makes a new private directory for one build in `store`, and the store where it is missing. Throws HOST_NO_SPACE, HOST_STORE. */
export async function makeScratch(store: string): Promise<string> {
	const work = join(store, 'work');
	const scratch = join(work, randomBytes(6).toString('hex'));
	try {
		const made = await mkdir(work, { recursive: true, mode: 0o700 });
		if (made !== undefined) await spreadDirectories(work);
		await mkdir(scratch, { recursive: true, mode: 0o700 });
		// A store in a setgid directory would hand its group on to all that is made in it.
		await chmod(scratch, 0o700);
		return scratch;
	} catch (error) {
		const full = errnoOf(error) === 'ENOSPC';
		throw new BuildError(
			full ? 'HOST_NO_SPACE' : 'HOST_STORE',
			`the store ${store} cannot be written: ${messageOf(error)}`,
			{
				hint: 'Name a directory that you may write, on a disk with free space, with --store DIR or S2OCI_STORE.',
				cause: error,
			},
		);
	}
}

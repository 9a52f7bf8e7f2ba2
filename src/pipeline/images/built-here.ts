import { lstat, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makePath } from '../../make-path.js';
import type { Digest } from '../../oci/digest.js';

const DIRECTORY = 'built';
/** Each takes one inode; the oldest go first. */
const MAX_RECORDS = 2000;

/**
 * Remembers in `store` that this user built the image with this config on this host. The config holds the labels that say from what, and its
 * digest is the same in every registry, archive and local engine. A record that cannot be written is no reason to fail.
 */
export async function recordBuilt(store: string, config: Digest): Promise<void> {
	const directory = join(store, DIRECTORY);
	try {
		makePath(directory, 0o700);
		await writeFile(join(directory, nameOf(config)), '', { mode: 0o600 });
		await removeOldest(directory, MAX_RECORDS);
	} catch {
		// Then `rebuild` asks where the source is.
	}
}

/** Whether {@link recordBuilt} was called for this config, by this user: what its labels say of this host is then not somebody else's. */
export async function wasBuiltHere(store: string, config: Digest): Promise<boolean> {
	const found = await lstat(join(store, DIRECTORY, nameOf(config))).catch(() => undefined);
	return found !== undefined && found.isFile() && found.uid === process.getuid?.();
}

/** Removes files of `directory` until `most` are left, the oldest first. */
export async function removeOldest(directory: string, most: number): Promise<void> {
	const names = await readdir(directory);
	if (names.length <= most) return;
	const aged = await Promise.all(
		names.map(async (name) => ({ name, time: (await lstat(join(directory, name))).mtimeMs })),
	);
	const oldest = aged.toSorted((a, b) => a.time - b.time).slice(0, names.length - most);
	for (const { name } of oldest) await rm(join(directory, name), { force: true });
}

function nameOf(config: Digest): string {
	return config.replace(':', '-');
}

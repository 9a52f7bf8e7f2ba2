import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/**
 * Writes `content` to `name` below `directory`: to a file of another name in `directory` first, then by rename, which replaces what was
 * there, a link too. Nobody sees half of it. Directories must exist. `mode` is that of the file, as the umask lets it be. Rejects with
 * the error of the system, or of `content`, and leaves nothing behind.
 */
export async function writeByRename(
	directory: string,
	name: string,
	content: string | Readable,
	options: { readonly mode: number; readonly signal?: AbortSignal },
): Promise<void> {
	const temporary = join(directory, `.s2oci-${randomBytes(8).toString('hex')}.tmp`);
	try {
		await writeFile(temporary, content, { ...options, flag: 'wx' });
		await rename(temporary, join(directory, name));
	} catch (error) {
		if (typeof content !== 'string') content.destroy();
		await rm(temporary, { force: true });
		throw error;
	}
}

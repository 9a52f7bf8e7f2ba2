import { constants } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { copyLargeFile, LARGE_FILE } from '../linux/copy-file.js';
import { loadLibc } from '../linux/libc.js';

/**
 * Copies bytes and permissions of the file `from`, which has about `size` bytes, to the new file `to`, sharing them where the file system
 * can. A large file keeps its holes, and its copy ends soon after `signal` is aborted, with its reason. Rejects with the errors of the system.
 */
export async function copyContent(
	from: string | Buffer,
	to: string | Buffer,
	size: number,
	signal: AbortSignal,
): Promise<void> {
	if (size >= LARGE_FILE) return copyLargeFile(from, to, await loadLibc(), signal);
	await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
}

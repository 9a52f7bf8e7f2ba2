import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { chmod, type FileHandle, open, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from './errors.js';
import { lookAt, resolveLinks } from './resolve-links.js';

const { O_WRONLY, O_NONBLOCK, O_NOCTTY, O_NOFOLLOW, O_TRUNC } = constants;
/** How long who reads a pipe may take. */
const READER_MS = 5000;
const POLL_MS = 50;

/**
 * Writes `text` to the file that the user named. Nobody sees half of it: it replaces a file of ours as a whole. What is no file, or
 * another user's, is written to as it is, and so is what its directory does not let go. A link of somebody else than us and root is
 * not followed, at no place of the path: in /tmp it may lead to any file of ours (CWE-59). A pipe that nobody reads is an error after at
 * most five seconds. Rejects with the error of the system, or one that says what is in the way.
 */
export async function writeOutputFile(path: string, text: string): Promise<void> {
	const real = await resolveLinks(path, refuseStrangers);
	const found = await lookAt(real);
	const isOurs = found === undefined || (found.isFile() && found.uid === process.geteuid?.());
	if (!isOurs || !(await renameInto(real, text, found?.mode))) await writeInto(real, text, found);
}

function refuseStrangers(link: string, { uid }: Stats): void {
	if (uid !== 0 && uid !== process.geteuid?.()) throw new Error(`${link} is a link of user ${uid}`);
}

/** Whether it could be done; nothing is left behind. */
async function renameInto(path: string, text: string, mode: number | undefined): Promise<boolean> {
	const partial = `${path}.${randomBytes(6).toString('hex')}.partial`;
	try {
		await writeFile(partial, text, { flag: 'wx' });
		if (mode !== undefined) await chmod(partial, mode & 0o777);
		await rename(partial, path);
		return true;
	} catch {
		await rm(partial, { force: true });
		return false;
	}
}

async function writeInto(path: string, text: string, found: Stats | undefined): Promise<void> {
	if (found === undefined) {
		await writeFile(path, text, { flag: 'wx' });
		return;
	}
	const inProc = path.startsWith('/proc/');
	const file = await open(
		path,
		O_WRONLY | O_NONBLOCK | O_NOCTTY | (inProc ? 0 : O_NOFOLLOW) | (found.isFile() ? O_TRUNC : 0),
	);
	try {
		await writeAll(file, Buffer.from(text));
	} finally {
		await file.close();
	}
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
	let deadline = Date.now() + READER_MS;
	for (let at = 0; at < bytes.length; ) {
		try {
			at += (await file.write(bytes, at)).bytesWritten;
			deadline = Date.now() + READER_MS;
		} catch (error) {
			if (errnoOf(error) !== 'EAGAIN' || Date.now() > deadline) throw error;
			await delay(POLL_MS);
		}
	}
}

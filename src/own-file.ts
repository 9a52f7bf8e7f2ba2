import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** The text of a file of this user, through no link: what somebody else wrote there could say anything. Rejects for more than `maxBytes`. */
export async function readOwnFile(path: string, maxBytes: number): Promise<string> {
	await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
	const stats = await file.stat();
	if (!stats.isFile() || stats.uid !== process.getuid?.() || stats.size > maxBytes) throw new Error('not ours');
	return await file.readFile('utf8');
}

import { closeSync, openSync, readdirSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { loadLibc } from './libc.js';

const EXT4_MAGIC = 0xef53;
const EXT4_TOPDIR_FL = 0x00020000;

/**
 * Has ext4 spread the directories that are made in `directory` over the disk, as it does below its root (chattr(1), attribute T), when it
 * has no journal. Without one it lets an inode rest for minutes after its deletion, and looks at all that rest near a directory for
 * each new file in it (fs/ext4/ialloc.c, recently_deleted): a thousand files then take most of a second where builds follow one another.
 * What cannot be done or seen is left as it is.
 */
export async function spreadDirectories(directory: string): Promise<void> {
	try {
		if (statfsSync(directory).type !== EXT4_MAGIC || hasJournal(directory)) return;
		const libc = await loadLibc();
		const file = openSync(directory, 'r');
		try {
			libc?.addFileFlags(file, EXT4_TOPDIR_FL);
		} finally {
			closeSync(file);
		}
	} catch {
		// The flag is a hint.
	}
}

/** jbd2 has a directory for each journal, by the name of its device and the number of its inode. */
function hasJournal(path: string): boolean {
	const { dev } = statSync(path);
	const name = basename(readlinkSync(`/sys/dev/block/${majorOf(dev)}:${minorOf(dev)}`));
	return readdirSync('/proc/fs/jbd2').some((journal) => journal.startsWith(`${name}-`));
}

/** As gnu_dev_major(3) has it, but for the high bits that Linux never sets. */
function majorOf(dev: number): number {
	return (dev >>> 8) & 0xfff;
}

function minorOf(dev: number): number {
	return (dev & 0xff) | ((dev >>> 12) & 0xfff00);
}

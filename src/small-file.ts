import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';

/** Device number of /dev/null, as which people name a file that says nothing (Linux, Documentation/admin-guide/devices.txt). */
const NULL_DEVICE = 0x103;
const MIB = 1 << 20;
const FIRST_READ = 64 * 1024;

/**
 * The content of the file `path`, links followed; empty for /dev/null. Waits for no pipe and reads no more than `maxBytes`, whatever size
 * the file claims. Rejects with an Error whose message is a clause on what is wrong ("it is a pipe"), or with the error of the system.
 */
export async function readSmallFile(path: string, maxBytes: number): Promise<Buffer> {
	await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
	const stats = await file.stat();
	checkKind(stats);
	return await readAtMost(file, Math.min(stats.size, maxBytes), maxBytes);
}

/** Rejects as {@link readSmallFile} does for what is no file, without reading it. */
export async function checkIsFile(path: string): Promise<void> {
	checkKind(await stat(path));
}

function checkKind(stats: Stats): void {
	if (stats.isFile() || (stats.isCharacterDevice() && stats.rdev === NULL_DEVICE)) return;
	if (stats.isDirectory()) throw new Error('it is a directory');
	if (stats.isFIFO()) throw new Error('it is a pipe, which can be read once only');
	throw new Error(stats.isSocket() ? 'it is a socket' : 'it is a device');
}

/** Files of the kernel have more in them than their size says, and others may grow. */
async function readAtMost(file: FileHandle, expected: number, maxBytes: number): Promise<Buffer> {
	let bytes = Buffer.allocUnsafe(expected + 1);
	let filled = 0;
	for (;;) {
		if (filled > maxBytes) throw new Error(`it is larger than ${formatLimit(maxBytes)}`);
		if (filled === bytes.length) bytes = Buffer.concat([bytes], Math.min(2 * filled + FIRST_READ, maxBytes + 1));
		const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, null);
		if (bytesRead === 0) return bytes.subarray(0, filled);
		filled += bytesRead;
	}
}

function formatLimit(bytes: number): string {
	return bytes < MIB ? `${bytes / 1024} KiB` : `${bytes / MIB} MiB`;
}

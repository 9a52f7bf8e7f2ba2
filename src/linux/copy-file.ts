import { constants } from 'node:fs';
import { copyFile, type FileHandle, open } from 'node:fs/promises';
import type { Libc } from './libc.js';

/** Bytes from which on a file is worth {@link copyLargeFile}: below, one system call copies it sooner than anybody waits. */
export const LARGE_FILE: number = 16 << 20;

const PIECE = 1 << 20;
const ZEROS = Buffer.alloc(PIECE);
const BLOCK = 512;

/**
 * Copies the bytes and permissions of the file `from`, links followed, to the new file `to`: shared where the file system can, else piece
 * by piece, and what is a hole remains one. Without `libc`, pieces that are zero become holes of files that have some. Rejects with the
 * reason of `signal` after at most one piece, leaving `to` half made; with EINVAL for what is no file, and with other errors of the system.
 */
export async function copyLargeFile(
	from: string | Buffer,
	to: string | Buffer,
	libc: Pick<Libc, 'seek'> | undefined,
	signal: AbortSignal,
): Promise<void> {
	await using source = await open(from, constants.O_RDONLY | constants.O_NONBLOCK);
	const { size, mode, blocks } = await source.stat();
	if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw notAFile();
	if (await share(source, to)) return;
	await using target = await open(to, 'wx', 0o600);
	const isSparse = blocks * BLOCK < size;
	const end = await copyPieces({ source, target, isSparse, seek: libc?.seek ?? onlyData }, size, signal);
	await target.truncate(end);
	await target.chmod(mode & 0o777);
}

interface Copying {
	readonly source: FileHandle;
	readonly target: FileHandle;
	readonly isSparse: boolean;
	readonly seek: Libc['seek'];
}

/** By its descriptor, since a name may lead to a pipe by now. */
async function share({ fd }: FileHandle, to: string | Buffer): Promise<boolean> {
	const flags = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE;
	return copyFile(`/proc/self/fd/${fd}`, to, flags).then(
		() => true,
		() => false,
	);
}

/** Resolves with where the file ended, which may have been cut meanwhile. */
async function copyPieces(copying: Copying, size: number, signal: AbortSignal): Promise<number> {
	const { source, seek } = copying;
	const piece = Buffer.allocUnsafeSlow(PIECE);
	for (let at = 0; at < size; ) {
		at = seek(source.fd, at, 'data', size);
		const hole = seek(source.fd, at, 'hole', size);
		while (at < hole) {
			signal.throwIfAborted();
			const { bytesRead } = await source.read(piece, 0, Math.min(PIECE, hole - at), at);
			if (bytesRead === 0) return at;
			await writePiece(copying, piece.subarray(0, bytesRead), at);
			at += bytesRead;
		}
	}
	return size;
}

async function writePiece({ target, isSparse }: Copying, piece: Buffer, position: number): Promise<void> {
	if (isSparse && piece.equals(ZEROS.subarray(0, piece.length))) return;
	for (let at = 0; at < piece.length; ) {
		at += (await target.write(piece, at, piece.length - at, position + at)).bytesWritten;
	}
}

const onlyData: Libc['seek'] = (_fd, offset, what, size) => (what === 'data' ? offset : size);

function notAFile(): Error {
	return Object.assign(new Error('EINVAL: it is no file'), { code: 'EINVAL' });
}

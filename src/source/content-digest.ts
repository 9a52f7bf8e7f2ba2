import { createHash } from 'node:crypto';
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { BuildError } from '../errors.js';
import { childOf, fsPath, nameIn, printablePath, type RawPath, ROOT, type RootPath } from '../root-path.js';

const PIECE = 256 * 1024;
/** So many bytes are read before anybody else has a turn. */
const TURN = 4 * PIECE;
/** What an entry counts besides its bytes: looking at it takes as long as reading so many. */
const ENTRY = 16 * 1024;

/**
 * The sha256, in hexadecimal, of all that is below `directory`: paths, types, permissions, contents, targets of links, and which files are one file by
 * several names. Neither times, owners nor the order of a directory change it. Reads each file to its end; follows no link. Throws
 * SOURCE_INVALID for what is neither a file, a directory nor a link, and for a file that changes while it is read; rejects with the
 * signal's reason when aborted.
 */
export async function digestContent(directory: RawPath, signal: AbortSignal): Promise<string> {
	const hash = createHash('sha256');
	const names = new Map<string, RootPath>();
	const piece = Buffer.allocUnsafe(PIECE);
	let work = 0;
	for (const { path, host, stats } of walk(directory, ROOT)) {
		for (const bytes of contentOf({ path, host, stats }, names, piece)) {
			hash.update(bytes);
			work += bytes.length;
			if (work < TURN) continue;
			work = 0;
			await setImmediate();
			signal.throwIfAborted();
		}
		work += ENTRY;
	}
	return hash.digest('hex');
}

interface Entry {
	readonly path: RootPath;
	readonly host: RawPath;
	readonly stats: Stats;
}

function* walk(host: RawPath, path: RootPath): Generator<Entry> {
	for (const name of readdirSync(fsPath(host), { encoding: 'latin1' }).sort()) {
		const entry = { path: childOf(path, name), host: nameIn(host, name) };
		const stats = lstatSync(fsPath(entry.host));
		yield { ...entry, stats };
		if (stats.isDirectory()) yield* walk(entry.host, entry.path);
	}
}

/** Paths hold no NUL, and sizes come before contents, so no two trees are the same bytes. */
function* contentOf({ path, host, stats }: Entry, names: Map<string, RootPath>, piece: Buffer): Generator<Buffer> {
	const mode = (stats.mode & 0o7777).toString(8);
	if (stats.isDirectory()) yield words('directory', path, mode);
	else if (stats.isSymbolicLink()) {
		yield words('link', path, readlinkSync(fsPath(host), { encoding: 'latin1' }));
	} else if (stats.isFile()) {
		const inode = `${stats.dev} ${stats.ino}`;
		const first = stats.nlink > 1 ? names.get(inode) : undefined;
		names.set(inode, first ?? path);
		if (first !== undefined) yield words('name', path, first);
		else yield* fileOf({ path, host, stats }, mode, piece);
	} else throw invalid(path, 'is neither a file, a directory nor a link');
}

function* fileOf({ path, host, stats }: Entry, mode: string, piece: Buffer): Generator<Buffer> {
	yield words('file', path, mode, String(stats.size));
	const file = openSync(fsPath(host), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
	try {
		let left = stats.size;
		for (let count = readSync(file, piece); count > 0; count = readSync(file, piece)) {
			left -= count;
			yield piece.subarray(0, count);
		}
		if (left !== 0) throw invalid(path, 'changed while it was read');
	} finally {
		closeSync(file);
	}
}

function words(...parts: readonly string[]): Buffer {
	return Buffer.from(`${parts.join('\0')}\0`, 'latin1');
}

function invalid(path: RootPath, problem: string): BuildError {
	return new BuildError('SOURCE_INVALID', `${printablePath(path)} ${problem}`, { hint: 'Build again.' });
}

import {
	chmodSync,
	copyFileSync,
	lchownSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readlinkSync,
	type Stats,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { BuildError, errnoOf, isBuildError, messageOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import { fsPath, nameIn, printablePath, type RawPath, rawPath } from '../root-path.js';
import type { Owner } from '../rootfs/owner.js';

const MIB = 1 << 20;
/** What is copied for one process, all together: bytes and entries. */
export const COPY_LIMIT: number = 64 * MIB;
const ENTRY_LIMIT = 10_000;

/** Copies what of the host a process is shown. Places must not exist, their directories must. */
export interface HostCopier {
	/** A file or directory with its modes, links as links, without `.git`; `mode` is instead of the mode of `source` itself. */
	readonly tree: (source: string, place: RawPath, mode: number | undefined) => void;
	readonly content: (bytes: Uint8Array, mode: number, place: RawPath) => void;
}

/**
 * A copier that throws USAGE when all that it copies together is too much, or cannot be read. Without an owner all belongs to this
 * process.
 */
export function createHostCopier(owner: Owner | undefined): HostCopier {
	let [bytes, entries] = [0, 0];
	const own = (place: RawPath) => {
		if (owner !== undefined) lchownSync(fsPath(place), owner.uid, owner.gid);
	};
	const count = (stats: Stats, top: RawPath) => {
		entries++;
		if (stats.isFile()) bytes += stats.size;
		if (bytes > COPY_LIMIT || entries > ENTRY_LIMIT) throw tooLarge(top);
	};
	const copy = (source: RawPath, place: RawPath, top: RawPath) => {
		const stats = lstatSync(fsPath(source));
		count(stats, top);
		if (stats.isSymbolicLink()) symlinkSync(readlinkSync(fsPath(source), { encoding: 'buffer' }), fsPath(place));
		else if (stats.isFile()) copyFileSync(fsPath(source), fsPath(place));
		else if (!stats.isDirectory()) throw special(source);
		else {
			mkdirSync(fsPath(place));
			for (const name of readdirSync(fsPath(source), { encoding: 'latin1' })) {
				if (name !== '.git') copy(nameIn(source, name), nameIn(place, name), top);
			}
		}
		own(place);
		if (!stats.isSymbolicLink()) chmodSync(fsPath(place), stats.mode & 0o777);
	};
	return {
		tree: (source, place, mode) => {
			const raw = rawPath(source);
			try {
				copy(raw, place, raw);
				if (mode !== undefined) chmodSync(fsPath(place), mode);
			} catch (error) {
				throw isBuildError(error) || errnoOf(error) === undefined
					? error
					: (noSpace(error, `a copy of ${printablePath(raw)}`) ?? unreadable(raw, error));
			}
		},
		content: (content, mode, place) => {
			writeFileSync(fsPath(place), content, { flag: 'wx', mode: 0o600 });
			own(place);
			chmodSync(fsPath(place), mode);
		},
	};
}

function tooLarge(source: RawPath): BuildError {
	return new BuildError('USAGE', `what is injected is more than 64 MiB or 10,000 entries (${printablePath(source)})`, {
		hint: 'Show it to assemble without copying it: --volume SOURCE:DESTINATION:ro',
	});
}

function special(source: RawPath): BuildError {
	return new BuildError(
		'USAGE',
		`${printablePath(source)} is neither a file nor a directory nor a link, and cannot be injected`,
		{
			hint: 'Show the directory that it is in to assemble: --volume SOURCE:DESTINATION',
		},
	);
}

function unreadable(source: RawPath, cause: unknown): BuildError {
	return new BuildError('USAGE', `${printablePath(source)} cannot be copied for assemble: ${messageOf(cause)}`, {
		hint: 'All of it must be readable by the user that runs s2oci.',
		cause,
	});
}

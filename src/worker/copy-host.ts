import fs from 'node:fs';
import { BuildError, errnoOf, isBuildError, messageOf } from '../errors.js';
import { noSpace } from '../host-fault.js';
import type { HostSource } from '../protocol/host-bind.js';
import { fdPath, fsPath, nameIn, O_PATH, printablePath, type RawPath, rawPath } from '../root-path.js';
import type { Opener } from '../rootfs/open-tree.js';
import type { Owner } from '../rootfs/owner.js';
import { withHostFile } from './host-file.js';

const MIB = 1 << 20;
/** What is copied for one process, all together: bytes and entries. */
export const COPY_LIMIT: number = 64 * MIB;
const ENTRY_LIMIT = 10_000;

/**
 * Copies what of the host a process is shown to a place that must not exist, in a directory that must: content, or a file or directory with
 * its modes, links as links, without `.git`; `mode` is instead of the mode of the source itself. It is read by descriptors, so that nothing
 * beside it is, whatever is renamed meanwhile.
 */
export type HostCopier = (source: Exclude<HostSource, { type: 'itself' }>, place: RawPath) => void;

/** What is copied: where it was found, for messages, and where it is a link that can be read. */
interface Original {
	readonly fd: number;
	readonly path: RawPath;
	readonly entry: RawPath;
}

/**
 * A copier that throws USAGE when all that it copies together is too much, cannot be read, or is no more what was found. Without an owner
 * all belongs to this process.
 */
export function createHostCopier(owner: Owner | undefined, libc: Opener): HostCopier {
	let [bytes, entries] = [0, 0];
	const own = (place: RawPath) => {
		if (owner !== undefined) fs.lchownSync(fsPath(place), owner.uid, owner.gid);
	};
	const count = (stats: fs.Stats, top: RawPath) => {
		entries++;
		if (stats.isFile()) bytes += stats.size;
		if (bytes > COPY_LIMIT || entries > ENTRY_LIMIT) throw tooLarge(top);
	};
	const copyEntries = ({ fd, path }: Original, place: RawPath, top: RawPath) => {
		for (const name of fs.readdirSync(fsPath(fdPath(fd)), { encoding: 'latin1' })) {
			if (name === '.git') continue;
			const entry = nameIn(fdPath(fd), name);
			const inner = fs.openSync(fsPath(entry), O_PATH | fs.constants.O_NOFOLLOW);
			try {
				copy({ fd: inner, path: nameIn(path, name), entry }, nameIn(place, name), top);
			} finally {
				fs.closeSync(inner);
			}
		}
	};
	const copy = (original: Original, place: RawPath, top: RawPath) => {
		const { fd, path, entry } = original;
		const stats = fs.fstatSync(fd);
		count(stats, top);
		if (stats.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(fsPath(entry), { encoding: 'buffer' }), fsPath(place));
		else if (stats.isFile()) fs.copyFileSync(fsPath(fdPath(fd)), fsPath(place));
		else if (!stats.isDirectory()) throw special(path);
		else {
			fs.mkdirSync(fsPath(place));
			copyEntries(original, place, top);
		}
		own(place);
		if (!stats.isSymbolicLink()) fs.chmodSync(fsPath(place), stats.mode & 0o777);
	};
	return (source, place) => {
		if (source.type === 'content') {
			fs.writeFileSync(fsPath(place), Buffer.from(source.base64, 'base64'), { flag: 'wx', mode: 0o600 });
			own(place);
			fs.chmodSync(fsPath(place), source.mode);
			return;
		}
		const raw = rawPath(source.path);
		try {
			withHostFile(source, libc, (fd) => copy({ fd, path: raw, entry: raw }, place, raw));
			if (source.mode !== undefined) fs.chmodSync(fsPath(place), source.mode);
		} catch (error) {
			throw isBuildError(error) || errnoOf(error) === undefined
				? error
				: (noSpace(error, `a copy of ${printablePath(raw)}`) ?? unreadable(raw, error));
		}
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
		{ hint: 'Show the directory that it is in to assemble: --volume SOURCE:DESTINATION' },
	);
}

function unreadable(source: RawPath, cause: unknown): BuildError {
	return new BuildError('USAGE', `${printablePath(source)} cannot be copied for assemble: ${messageOf(cause)}`, {
		hint: 'All of it must be readable by the user that runs s2oci.',
		cause,
	});
}

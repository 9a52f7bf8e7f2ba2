import { succeeds } from '../errors.js';
import { parentOf, partsOf, printablePath, type RawPath, ROOT, type RootPath } from '../root-path.js';
import type { TarEntry } from '../tar/entry.js';
import type { LayerDisk } from './layer-disk.js';
import type { LayerTree } from './layer-tree.js';
import type { Owner } from './owner.js';
import type { Entry } from './tree.js';

const MAX_NAME = 255;
const MAX_PATH = 4095;
/** Parts that are no names, and slashes at either end. */
const ODD_PARTS = /(?:^|\/)\.{0,2}(?:\/|$)/;
const SETUID_AND_SETGID = 0o6000;
const SETUID = 0o4000;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/** What becomes of one entry: undefined when it is on disk, else why it was left out. */
export type PlaceArtifact = (entry: TarEntry) => string | undefined;

/**
 * Puts artifacts on disk, one entry after the other, the last of equal names winning as with tar(1). Links are data: nothing is ever
 * written or linked through one, whatever it points to, and a name with `..` or below a link is left out (CVE-2018-1103,
 * CVE-2020-27833). All belongs to `owner`, without setuid bits and attributes, which a build has no use for.
 */
export function createArtifactWriter(tree: LayerTree, disk: LayerDisk, owner: Owner): PlaceArtifact {
	let lastParent: RootPath = ROOT;
	/** Directories that were found to be below no link since the last link was made. */
	const plain = new Set<RootPath>();
	const isBelowLink = (path: RootPath): boolean => {
		const looked: RootPath[] = [];
		for (let up = parentOf(path); up !== ROOT && !plain.has(up); up = parentOf(up)) {
			if (tree.get(up)?.type === 'symlink') return true;
			looked.push(up);
		}
		for (const directory of looked) plain.add(directory);
		return false;
	};
	const makeParents = (path: RootPath): void => {
		if (parentOf(path) === lastParent) return;
		for (const missing of tree.place(path).missing) disk.makeImplicit(missing);
		lastParent = parentOf(path);
	};
	const link = (path: RootPath, entry: TarEntry): string | undefined => {
		const name = normalised(entry.linkPath);
		const target = name === undefined || isBelowLink(name) ? undefined : tree.get(name);
		const isLinkable = target?.type === 'file' || target?.type === 'symlink';
		if (name === undefined || !isLinkable || isNested(name, path)) {
			return `it is a hard link to ${quoted(entry.linkPath)}, which is no file before it in the archive`;
		}
		if (name === path) return undefined;
		makeParents(path);
		disk.clear(path);
		disk.makeLink(path, name);
		tree.set(path, target);
		plain.clear();
		return undefined;
	};
	const put = (path: RootPath, entry: TarEntry): void => {
		if (path === ROOT) {
			tree.set(path, declared(entry));
			return;
		}
		makeParents(path);
		const existing = tree.get(path);
		const exists = existing?.type === 'directory' && entry.type === 'directory';
		if (existing !== undefined && !exists) disk.clear(path);
		tree.set(path, declared(entry));
		if (entry.type === 'symlink') plain.clear();
		if (entry.type === 'directory') disk.makeDirectory(path, entry, exists);
		else if (entry.type === 'symlink') disk.makeSymlink(path, entry);
		else disk.openFile(path, entry);
	};
	return (raw) => {
		const path = normalised(raw.path);
		if (path === undefined) return 'its name leads out of the artifacts, or is too long';
		if (path === ROOT && raw.type !== 'directory') return 'it has no name';
		if (isBelowLink(path)) return 'it is below a link of the same archive';
		const problem = unusable(raw);
		if (problem !== undefined) return problem;
		const entry = owned(raw, owner);
		if (entry.type === 'link') return link(path, entry);
		return succeeds(() => put(path, entry), ['ENAMETOOLONG']) ? undefined : 'its path is too long for this host';
	};
}

/** Whether making one of them a directory would take the place of the other. */
function isNested(a: RootPath, b: RootPath): boolean {
	return a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

/** `path` for a message. */
export function quoted(path: RawPath): string {
	return `"${printablePath(path).slice(0, 200)}"`;
}

/** `name` without slashes at its ends and without `.` parts, undefined when it cannot be below a root directory. */
function normalised(name: RawPath): RootPath | undefined {
	if (name.length > MAX_PATH || name.includes('\0')) return undefined;
	if (name.length <= MAX_NAME && !ODD_PARTS.test(name)) return name as RootPath;
	const parts = partsOf(name);
	const isFit = parts.every((part) => part !== '..' && part.length <= MAX_NAME);
	return isFit ? (parts.join('/') as RootPath) : undefined;
}

function unusable({ type, linkPath }: TarEntry): string | undefined {
	if (type === 'character' || type === 'block' || type === 'fifo') return 'it is no file, directory or link';
	const isTarget = linkPath !== '' && linkPath.length <= MAX_PATH && !linkPath.includes('\0');
	return type === 'symlink' && !isTarget ? 'it is a link whose target is empty, too long or has a NUL byte' : undefined;
}

function owned(raw: TarEntry, { uid, gid }: Owner): TarEntry {
	const mode = raw.mode & ~(raw.type === 'directory' ? SETUID : SETUID_AND_SETGID);
	return { ...raw, mode, uid, gid, xattrs: NO_XATTRS };
}

function declared({ type, mode, uid, gid, mtime, size, linkPath }: TarEntry): Entry {
	if (type === 'directory') return { type, mode, uid, gid, mtime };
	if (type === 'symlink') return { type, mode, uid, gid, mtime, target: linkPath };
	return { type: 'file', mode, uid, gid, mtime, size };
}

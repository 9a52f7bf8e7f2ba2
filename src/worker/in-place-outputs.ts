import { type BigIntStats, closeSync, fstatSync, lstatSync, readSync, unlinkSync } from 'node:fs';
import { attempt, errnoOf } from '../errors.js';
import type { Inspected } from '../protocol/worker-calls.js';
import { removeEmptyBeneath } from '../remove-tree.js';
import type { RawPath, RootPath } from '../root-path.js';
import { childOf, fsPath, latin1Path, nameOf, parentOf, printablePath, rootPath } from '../root-path.js';
import type { InPlaceContext, InPlaceRoot } from '../rootfs/in-place.js';
import type { BaseTree } from '../rootfs/merge.js';
import { type Opener, type OpenTree, unlessGone, withTree } from '../rootfs/open-tree.js';
import { resolveChecked } from '../rootfs/resolve-in-root.js';
import { type Stamp, stampOf } from '../rootfs/stamps.js';
import { createLinkCheck } from './in-place-placements.js';

/** Files that a process writes for the build to read. */
export interface Outputs {
	/** Removes what an earlier process has left at `path`, as far as it is not the image's; what cannot be removed counts only once it is changed. */
	readonly expect: (path: RawPath) => void;
	/** Looks at what is at `path`, which is expected, and through no link. Undefined for any other path. */
	readonly read: (path: RawPath, limit: number) => Omit<Inspected, 'path'> | undefined;
}

/** Where outputs are, and who may write them. */
export interface OutputContext extends Pick<InPlaceContext, 'isImages'>, Pick<InPlaceRoot, 'isReadable'> {
	readonly root: RawPath;
	readonly libc: Opener;
	readonly base: BaseTree;
	/** Tells people. */
	readonly notice: (message: string) => void;
}

/** What is expected. */
interface Expected {
	/** Where it really is. */
	readonly real: RootPath;
	/** What could not be removed. */
	readonly left: Stamp | undefined;
}

const MISSING = { type: 'missing', mode: 0 } as const;
const OTHER = { type: 'other', mode: 0 } as const;

/** Outputs below `root`. {@link Outputs.expect} throws HOST_IN_PLACE for a link of somebody else in the place of a directory above. */
export function openOutputs(context: OutputContext): Outputs {
	const { root, libc, base, isReadable, notice } = context;
	const expected = new Map<RootPath, Expected>();
	return {
		expect: (path) => {
			const asked = rootPath(path);
			const above = resolveChecked(root, latin1Path(parentOf(asked)), createLinkCheck(base)).path;
			const real = childOf(above, nameOf(asked));
			expected.set(asked, { real, left: clear(real, context) });
		},
		read: (path, limit) => {
			const found = expected.get(rootPath(path));
			if (found === undefined) return undefined;
			const { real, left } = found;
			return withTree(root, libc, (tree) => {
				const stats = look(tree, real);
				if (stats === undefined || (left !== undefined && isSame(left, stats))) return MISSING;
				// None that can be opened, or a link.
				const file = attempt(() => tree.open(real));
				if (file === undefined) return OTHER;
				try {
					const opened = fstatSync(file, { bigint: true });
					if (!opened.isFile()) return OTHER;
					if (!isReadable(real, file)) {
						notice(`${shown(real)} is nothing that assemble could have read or made; it is left out`);
						return MISSING;
					}
					const text = opened.size > BigInt(limit) ? undefined : readStart(file, Number(opened.size));
					return { type: 'file', mode: Number(opened.mode & 0o7777n), ...(text !== undefined && { text }) };
				} finally {
					closeSync(file);
				}
			});
		},
	};
}

/** Returns what is there still, and is not the image's. */
function clear(real: RootPath, { root, libc, base, isImages, notice }: OutputContext): Stamp | undefined {
	return withTree(root, libc, (tree) => {
		const stats = look(tree, real);
		if (stats === undefined || isImages(real, stampOf(stats))) return undefined;
		try {
			unlinkSync(fsPath(tree.entry(real)));
		} catch (error) {
			if (errnoOf(error) === 'ENOENT') return undefined;
			notice(`${shown(real)} was there before and cannot be removed; it counts only when assemble changes it`);
			return stampOf(stats);
		}
		notice(`${shown(real)} was there before and is removed: it is nothing of this build`);
		const above = parentOf(real);
		if (!base.has(above)) removeEmptyBeneath(root, above);
		return undefined;
	});
}

function look(tree: OpenTree, path: RootPath): BigIntStats | undefined {
	return unlessGone(() => lstatSync(fsPath(tree.entry(path)), { bigint: true, throwIfNoEntry: false }));
}

function isSame(left: Stamp, stats: BigIntStats): boolean {
	const { inode, changed, size } = stampOf(stats);
	return left.inode === inode && left.changed === changed && left.size === size;
}

/** The first `size` bytes: what is left running may make the file longer meanwhile. */
function readStart(file: number, size: number): string {
	const bytes = Buffer.alloc(size);
	return bytes.toString('utf8', 0, readSync(file, bytes, 0, size, 0));
}

function shown(path: RootPath): string {
	return `/${printablePath(path)}`;
}

import { closeSync, constants, openSync } from 'node:fs';
import { BuildError, errnoOf } from '../errors.js';
import { childOf, fsPath, latin1Path, nameIn, printablePath, type RawPath, ROOT, type RootPath } from '../root-path.js';
import { type Opener, openTree } from '../rootfs/open-tree.js';
import { resolveInRoot } from '../rootfs/resolve-in-root.js';

/** In the root directory of a container where a build was made or, where this user may not write to it, in WORKDIR. */
const MARK = '.s2oci-built';
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
const CREATE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK;

/**
 * Throws HOST_IN_PLACE when there is a mark below `root`, whatever it has become: what one build leaves, no other could tell from what the
 * job brought along, so its layer would lack it.
 */
export function refuseMarked(root: RawPath, workingDir: RawPath): void {
	for (const directory of [ROOT, workingDir]) {
		const { path, stats } = resolveInRoot(root, nameIn(directory, MARK), false);
		if (stats !== undefined) throw usedBefore(path);
	}
}

/**
 * Leaves a mark below `root`, once assemble has ended. It is only ever made new, by descriptors and through no link: what assemble left in
 * its place is a mark as well. Where this user may write to neither directory there is nothing that a build could leave.
 */
export function leaveMark(root: RawPath, workingDir: RootPath, libc: Opener): void {
	const tree = openTree(root, libc);
	try {
		[ROOT, workingDir].some((directory) => isMarked(() => tree.entry(childOf(directory, MARK))));
	} finally {
		tree.close();
	}
}

function isMarked(entry: () => RawPath): boolean {
	try {
		closeSync(openSync(fsPath(entry()), CREATE, 0o644));
		return true;
	} catch (error) {
		return errnoOf(error) === 'EEXIST';
	}
}

function usedBefore(mark: RootPath): BuildError {
	const message = `a build was made in this container before (${printablePath(latin1Path(`/${mark}`))} is there)`;
	return new BuildError('HOST_IN_PLACE', message, {
		hint: 'Run each build in a container of its own: what the first one left would be missing in the image.',
	});
}

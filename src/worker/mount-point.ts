import { mkdirSync, rmSync, type Stats, writeFileSync } from 'node:fs';
import { BuildError } from '../errors.js';
import type { RawPath, RootPath } from '../root-path.js';
import { fsPath, joinRaw, latin1Path, printablePath, ROOT, rawPath } from '../root-path.js';
import { makeDirectories, resolveInRoot } from '../rootfs/resolve-in-root.js';
import { isKernels } from '../sandbox/kernel-paths.js';
import type { BindMount } from '../sandbox/sandbox.js';

/**
 * Makes a file or directory where `bind` can be mounted, and returns its real path. Nothing is made outside of `root`. A link there is
 * replaced, so that nothing is mounted at what it points to. Parents that are made are added to `scaffolding`. Throws
 * IMAGE_UNSUPPORTED when what is there is of another type, or when the destination leads to the root itself or a directory of the kernel.
 */
export function makeMountPoint(
	root: RawPath,
	bind: Pick<BindMount, 'destination' | 'type'>,
	scaffolding: Set<RootPath>,
): RootPath {
	const destination = rawPath(bind.destination);
	// Before anything is made: what is made below a link of the image to /proc or /dev would be seen by nobody.
	const wanted = resolveInRoot(root, destination, false);
	if (wanted.path === ROOT || isKernels(wanted.path)) throw misplaced(destination, wanted.path);
	const { path: parent, made } = makeDirectories(root, latin1Path(destination.slice(0, destination.lastIndexOf('/'))));
	for (const path of made) scaffolding.add(path);
	if (isKernels(parent)) throw misplaced(destination, parent);
	const { path, stats } = resolveInRoot(root, destination, false);
	const disk = fsPath(joinRaw(root, path));
	if (isOther(stats, bind.type)) throw otherType(path, bind.type);
	if (stats?.isFile() === true || stats?.isDirectory() === true) return path;
	rmSync(disk, { force: true });
	if (bind.type === 'directory') mkdirSync(disk, { mode: 0o755 });
	else writeFileSync(disk, '', { flag: 'wx', mode: 0o644 });
	return path;
}

/** What is wrong with an image that has `wanted` lead to the real `path`. */
export function misplaced(wanted: RawPath, path: RootPath): BuildError {
	const message = `"${printablePath(wanted)}" of the image leads to "/${printablePath(path)}"`;
	return new BuildError('IMAGE_UNSUPPORTED', message, {
		hint: 'No honest image has that. Do not use it before you know who made it.',
	});
}

function isOther(stats: Stats | undefined, type: BindMount['type']): boolean {
	return type === 'file' ? stats?.isDirectory() === true : stats?.isFile() === true;
}

function otherType(path: RootPath, type: BindMount['type']): BuildError {
	const [is, not] = type === 'file' ? ['directory', 'file'] : ['file', 'directory'];
	return new BuildError('IMAGE_UNSUPPORTED', `"/${printablePath(path)}" of the image is a ${is}, not a ${not}`, {
		hint: `The build shows a ${not} of the host there. Choose another destination, or another builder image.`,
	});
}

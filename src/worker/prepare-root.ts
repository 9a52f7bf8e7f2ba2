import { chmodSync, lchownSync, lstatSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { BuildError } from '../errors.js';
import type { HostBind } from '../protocol/host-bind.js';
import type { WorkerCalls } from '../protocol/worker-calls.js';
import { removeTree } from '../remove-tree.js';
import type { RawPath, RootPath } from '../root-path.js';
import { childOf, fsPath, joinRaw, nameIn, printablePath, ROOT, rawPath } from '../root-path.js';
import { type IdLimits, type Owner, ownable } from '../rootfs/owner.js';
import { makeDirectories, resolveInRoot } from '../rootfs/resolve-in-root.js';
import type { RootDirectory } from '../rootfs/root-directory.js';
import { isKernels, KERNEL_DIRECTORIES } from '../sandbox/kernel-paths.js';
import { makeMountPoint, misplaced } from './mount-point.js';
import type { Ownership } from './ownership.js';

/** A mounted root filesystem, and what of it never enters a layer. */
export interface Preparation {
	readonly directory: RootDirectory;
	readonly ownership: Ownership;
	/** Gets the directories that are made as parents only. */
	readonly scaffolding: Set<RootPath>;
	/** Gets the paths that never enter the layer, with all below them. */
	readonly excluded: Set<RootPath>;
	/** Gets the paths where something of the host is shown. */
	readonly shown: Set<RootPath>;
	readonly ids: IdLimits;
}

type Request = WorkerCalls['prepare']['request'];
type Placement = Request['placements'][number];
type Placed = Placement & { readonly path: RootPath; readonly merged: boolean };

/** Puts what a process needs into the root filesystem; returns the bind mounts with their real destinations. Throws IMAGE_UNSUPPORTED. */
export function prepareRoot({ placements, binds, workingDir }: Request, preparation: Preparation): readonly HostBind[] {
	const { directory, ownership, scaffolding, excluded, shown } = preparation;
	const root = rawPath(directory.path);
	const placed = placements.map((placement) => makePlace(root, placement, preparation));
	const working = makeDirectories(root, rawPath(workingDir));
	// A working directory among open files is one outside of the sandbox (CVE-2024-21626).
	if (isKernels(working.path)) throw misplaced(rawPath(workingDir), working.path);
	for (const made of working.made) scaffolding.add(made);
	for (const name of KERNEL_DIRECTORIES) addKernelDirectory(root, name, excluded);
	const mounts = binds.map((bind) => {
		const path = makeMountPoint(root, bind, scaffolding);
		excluded.add(path);
		shown.add(path);
		return { ...bind, destination: `/${textOf(path)}` };
	});
	directory.unmount();
	for (const each of placed) {
		ownership.turn(each.owner);
		if (each.merged) placeFiles(each, preparation);
		else place(each, preparation);
	}
	directory.mount();
	return mounts;
}

/** Mounts are named by text, in every sandbox. */
function textOf(path: RootPath): string {
	const text = Buffer.from(path, 'latin1').toString('utf8');
	if (rawPath(text) === path) return text;
	throw new BuildError(
		'IMAGE_UNSUPPORTED',
		`"/${printablePath(path)}" of the image is no UTF-8, so nothing can be mounted there`,
		{ hint: 'Choose another destination.' },
	);
}

function makePlace(root: RawPath, placement: Placement, { scaffolding, excluded }: Preparation): Placed {
	const { path, made } = makeDirectories(root, rawPath(placement.destination));
	if (path === ROOT || isKernels(path)) throw misplaced(rawPath(placement.destination), path);
	for (const directory of made) if (directory !== path) scaffolding.add(directory);
	if (placement.keep && !made.includes(path)) {
		makeWay(joinRaw(root, path), placement.source);
		return { ...placement, path, merged: true };
	}
	removeTree(joinRaw(root, path));
	mkdirSync(fsPath(joinRaw(root, path)));
	if (!placement.keep) excluded.add(path);
	return { ...placement, path, merged: false };
}

/** Puts an empty file where each of `source` is to be, so that the overlay has the directory among its changes. */
function makeWay(directory: RawPath, source: string): void {
	for (const name of readdirSync(source, { encoding: 'latin1' })) {
		removeTree(nameIn(directory, name));
		writeFileSync(fsPath(nameIn(directory, name)), '', { flag: 'wx' });
	}
}

/** A link there would make a sandbox mount a file system where the image wants it (CVE-2019-19921, CVE-2025-52565). */
function addKernelDirectory(root: RawPath, directory: RootPath, excluded: Set<RootPath>): void {
	const { path, stats } = resolveInRoot(root, directory, false);
	if (stats !== undefined && !stats.isDirectory()) {
		throw new BuildError('IMAGE_UNSUPPORTED', `"/${directory}" of the image is no directory`, {
			hint: 'No honest image has that. Do not use it before you know who made it.',
		});
	}
	if (stats === undefined) mkdirSync(fsPath(joinRaw(root, path)), { mode: 0o755 });
	excluded.add(path);
}

/** Moves `source` to where changes are while nothing is mounted, as a directory that hides the base's. */
function place({ source, path, owner, owned = false }: Placed, { directory, ids }: Preparation): void {
	const destination = joinRaw(rawPath(directory.changed), path);
	removeTree(destination);
	renameSync(source, fsPath(destination));
	chmodSync(fsPath(destination), 0o755);
	directory.hideBelow(destination);
	if (!owned && ownable(owner, ids)) chownTree(destination, owner);
}

/** Moves the files in `source` among those that the base has there: its own scripts may be in the same directory. */
function placeFiles({ source, path, owner }: Placed, { directory, ids }: Preparation): void {
	for (const name of readdirSync(source, { encoding: 'latin1' })) {
		const destination = joinRaw(rawPath(directory.changed), childOf(path, name));
		renameSync(fsPath(nameIn(rawPath(source), name)), fsPath(destination));
		if (ownable(owner, ids)) chownTree(destination, owner);
	}
}

/** Gives `path` and all below it to `owner`. */
export function chownTree(path: RawPath, owner: Owner): void {
	const pending = [path];
	for (let raw = pending.pop(); raw !== undefined; raw = pending.pop()) {
		const stats = lstatSync(fsPath(raw));
		lchownSync(fsPath(raw), owner.uid, owner.gid);
		if ((stats.mode & 0o6000) !== 0 && stats.isFile()) chmodSync(fsPath(raw), stats.mode & 0o7777);
		if (!stats.isDirectory()) continue;
		for (const name of readdirSync(fsPath(raw), { encoding: 'latin1' })) pending.push(nameIn(raw, name));
	}
}

import { lstatSync, mkdirSync, readlinkSync, type Stats } from 'node:fs';
import { BuildError, unlessErrno } from '../errors.js';
import type { RawPath, RootPath } from '../root-path.js';
import { childOf, fsPath, joinRaw, latin1Path, parentOf, partsOf, printablePath, ROOT } from '../root-path.js';

/** Where a path of an image really is: every link followed as if the image's root were the system's. */
export interface Resolved {
	readonly path: RootPath;
	/** Undefined when nothing is there. */
	readonly stats: Stats | undefined;
}

const MAX_LINKS = 40;
/** As deep as the directories of a layer may be. */
const MAX_PARTS = 256;
/** What volumes may take altogether; each step costs more, the deeper it is. */
const MAX_STEPS = 30_000;

/**
 * Resolves each of `paths` like {@link resolveInRoot}, the last part not followed. Throws also IMAGE_UNSUPPORTED when all of them together
 * lead through more than 30,000 parts.
 */
export function resolveAll(root: RawPath, paths: readonly RawPath[]): readonly RootPath[] {
	let left = MAX_STEPS;
	const count = () => {
		if (--left < 0) throw tooMany();
	};
	return paths.map((path) => resolve(root, path, { followLast: false, count }).path);
}

/**
 * Resolves `path` below the host directory `root` one part at a time, so that no link of the image leads out of it (CVE-2024-9676,
 * CVE-2026-55686). Only safe while nothing else writes there, that is before and after assemble runs. With `followLast` false
 * the last part may itself be a link. Throws LAYER_UNSAFE when links never end or lead through too many parts, IMAGE_UNSUPPORTED when
 * `path` has more than 256.
 */
export function resolveInRoot(root: RawPath, path: RawPath, followLast = true): Resolved {
	return resolve(root, path, { followLast });
}

/** {@link resolveInRoot} that calls `check`, which may throw, with each link before it is followed. */
export function resolveChecked(root: RawPath, path: RawPath, check: CheckLink): Resolved {
	return resolve(root, path, { followLast: true, check });
}

/** Is told where a link is, what it says, and whose it is. */
export type CheckLink = (path: RootPath, target: RawPath, stats: Stats) => void;

interface Resolving {
	readonly followLast: boolean;
	readonly count?: () => void;
	readonly check?: CheckLink;
}

function resolve(root: RawPath, path: RawPath, { followLast, count, check }: Resolving): Resolved {
	const pending = partsOf(path).reverse();
	checkDepth(pending, path);
	let here: RootPath = ROOT;
	let stats: Stats | undefined = lstatSync(fsPath(root));
	let links = 0;
	for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
		count?.();
		here = part === '..' ? parentOf(here) : childOf(here, part);
		stats = statOf(joinRaw(root, here));
		if (stats?.isSymbolicLink() !== true || (pending.length === 0 && !followLast)) continue;
		if (++links > MAX_LINKS) throw endless(path);
		const target = readlinkSync(fsPath(joinRaw(root, here)), { encoding: 'latin1' });
		check?.(here, latin1Path(target), stats);
		here = target.startsWith('/') ? ROOT : parentOf(here);
		stats = statOf(joinRaw(root, here));
		pending.push(...partsOf(latin1Path(target)).reverse());
		checkDepth(pending, path);
	}
	return { path: here, stats };
}

/** Resolves the directory `path`, making what is missing with mode 0755. Returns its real path and what was made, outermost first. */
export function makeDirectories(
	root: RawPath,
	path: RawPath,
): { readonly path: RootPath; readonly made: readonly RootPath[] } {
	const { path: real } = resolveInRoot(root, path);
	return { path: real, made: makeMissing(root, real, path) };
}

/** `path` is free of links. What a link leads to may lack its parents, too. */
function makeMissing(root: RawPath, path: RootPath, wanted: RawPath): readonly RootPath[] {
	const missing: RootPath[] = [];
	let here = path;
	let stats = statOf(joinRaw(root, here));
	for (; stats === undefined; stats = statOf(joinRaw(root, here))) {
		missing.push(here);
		here = parentOf(here);
	}
	if (!stats.isDirectory()) {
		throw new BuildError('IMAGE_UNSUPPORTED', `"/${printablePath(here)}" of the image is no directory`, {
			hint: `The build needs a directory at ${printablePath(wanted)}.`,
		});
	}
	const made = missing.reverse();
	for (const directory of made) mkdirSync(fsPath(joinRaw(root, directory)), { mode: 0o755 });
	return made;
}

function statOf(path: RawPath): Stats | undefined {
	return unlessErrno(['ENOENT', 'ENOTDIR'], () => lstatSync(fsPath(path)));
}

function checkDepth(parts: readonly string[], path: RawPath): void {
	if (parts.length <= MAX_PARTS) return;
	throw new BuildError(
		'IMAGE_UNSUPPORTED',
		`"${printablePath(path).slice(0, 100)}…" has more than ${MAX_PARTS} parts`,
		{ hint: 'Give the image shorter paths in WORKDIR and its labels.' },
	);
}

function tooMany(): BuildError {
	return new BuildError('IMAGE_UNSUPPORTED', `the volumes of the image lead through more than ${MAX_STEPS} parts`, {
		hint: 'Give the image fewer volumes, or shorter paths for them.',
	});
}

function endless(path: RawPath): BuildError {
	return new BuildError('LAYER_UNSAFE', `the links below "${printablePath(path)}" of the image never end`, {
		hint: 'The image is broken. Rebuild it.',
	});
}

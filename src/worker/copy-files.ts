import type { Stats } from 'node:fs';
import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import type { WorkerCalls } from '../protocol/worker-calls.js';
import type { RawPath, RootPath } from '../root-path.js';
import { childOf, joinRaw, latin1Path, printablePath, ROOT, rawPath } from '../root-path.js';
import { resolveInRoot } from '../rootfs/resolve-in-root.js';
import { addArchive } from './add-archive.js';
import { type CopyTarget, createCopier, type InodeOf } from './copy-tree.js';

type CopyFiles = WorkerCalls['copyFiles'];
type CopyArtifacts = WorkerCalls['copyArtifacts'];

export interface CopyFilesTarget extends CopyTarget {
	/** Private directory of the build. */
	readonly scratch: string;
}

/**
 * Copies of a host directory into a root filesystem as COPY and ADD do: of a directory what is in it, of a link what it points to
 * inside `from`. Throws SOURCE_NOT_FOUND for a source that is not there, and SOURCE_INVALID for a damaged archive.
 */
export async function copyFiles(
	request: CopyFiles['request'],
	target: CopyFilesTarget,
	signal: AbortSignal,
): Promise<CopyFiles['response']> {
	const { owner, mode, extract } = request;
	const copier = createCopier(target, { ownerOf: () => owner, mode }, signal);
	const copyFile = (source: RawPath, name: string): Promise<void> => {
		const isDirectory = request.intoDirectory || resolveInRoot(target.root, destination).stats?.isDirectory() === true;
		if (isDirectory) return copier.copy(source, childOf(copier.directory(destination), name));
		const parent = copier.directory(latin1Path(posix.dirname(destination)));
		return copier.copy(source, childOf(parent, posix.basename(destination)));
	};
	const from = rawPath(request.from);
	const destination = rawPath(request.destination);
	const found = request.sources.map((source) => ({ name: posix.basename(source), ...findSource(from, source) }));
	const skipped: RawPath[] = [];
	if (found.length === 0) copier.directory(destination);
	for (const { name, source, isDirectory } of found) {
		const archive = { source, destination, scratch: target.scratch };
		if (isDirectory) await copier.contents(source, copier.directory(destination));
		else if (extract) {
			const added = await addArchive(archive, target, request.chown ? owner : undefined, signal);
			if (added === undefined) await copyFile(source, name);
			else skipped.push(...added);
		} else await copyFile(source, name);
	}
	return { copied: copier.count(), skipped: [...copier.skipped(), ...skipped].map(printablePath) };
}

/** The root filesystem that artifacts are copied from. */
export interface ArtifactRoot {
	readonly root: RawPath;
	readonly inodeOf: InodeOf;
	/** Where something of the host is shown, which is never copied. */
	readonly shown: ReadonlySet<RootPath>;
}

/** Copies files and directories of a root filesystem into directories of `target`, each under its own name; of what ends with `/.`, what is in it. */
export async function copyArtifacts(
	request: Pick<CopyArtifacts['request'], 'artifacts' | 'owner'>,
	{ root: from, inodeOf, shown }: ArtifactRoot,
	target: CopyTarget,
	signal: AbortSignal,
): Promise<CopyArtifacts['response']> {
	const inode = (source: RawPath, stats: Stats) => inodeOf(source.slice(from.length + 1) as RootPath, stats);
	const skips = (source: RawPath) => shown.has(source.slice(from.length + 1) as RootPath);
	const attributes = { ownerOf: () => request.owner, inodeOf: inode, mode: undefined, skips };
	const copier = createCopier(target, attributes, signal);
	const missing: string[] = [];
	for (const { source, destination } of request.artifacts) {
		const { path, stats } = resolveInRoot(from, rawPath(source));
		const name = posix.basename(rawPath(source));
		const isContents = name === '.';
		if (stats === undefined || (isContents && !stats.isDirectory())) missing.push(source);
		else if (path === ROOT || name === '' || isContents)
			await copier.contents(joinRaw(from, path), copier.directory(rawPath(destination)));
		else await copier.copy(joinRaw(from, path), childOf(copier.directory(rawPath(destination)), name));
	}
	return { copied: copier.count(), skipped: copier.skipped().map(printablePath), missing };
}

function findSource(from: RawPath, source: RawPath): { readonly source: RawPath; readonly isDirectory: boolean } {
	const { path, stats } = resolveInRoot(from, source);
	if (stats !== undefined) return { source: joinRaw(from, path), isDirectory: stats.isDirectory() };
	throw new BuildError(
		'SOURCE_NOT_FOUND',
		`the source has no "${printablePath(source)}", which the image wants to copy`,
		{ hint: 'Add it to the source (.s2iignore may leave it out), or use another builder image.' },
	);
}

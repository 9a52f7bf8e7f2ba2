import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt } from '../errors.js';
import { fsPath, type RawPath, type RootPath } from '../root-path.js';
import type { LayerDisk } from './layer-disk.js';

/** The sha256, in base64, of every regular file of a layer. */
export type LayerDigests = ReadonlyMap<RootPath, string>;

const FILE_NAME = 'digests.json';
const CHUNK = 256 * 1024;
const O_READ = constants.O_RDONLY | constants.O_NOFOLLOW;

/**
 * A disk that keeps nothing of a layer but the digests of its files. Those of files that a later entry of the layer replaces by something
 * else stay in it, so only paths that the layer's index has as files may be asked for.
 */
export function openDigestDisk(): { readonly disk: LayerDisk; readonly digests: LayerDigests } {
	const digests = new Map<RootPath, string>();
	let file: { readonly path: RootPath; readonly hash: Hash } | undefined;
	const nothing = () => undefined;
	const disk: LayerDisk = {
		makeImplicit: nothing,
		clear: nothing,
		makeDirectory: nothing,
		makeSymlink: nothing,
		makeSpecial: nothing,
		makeWhiteout: nothing,
		makeLink: (path, target) => {
			const digest = digests.get(target);
			if (digest !== undefined) digests.set(path, digest);
		},
		openFile: (path) => {
			file = { path, hash: createHash('sha256') };
		},
		writeFile: (chunk) => void file?.hash.update(chunk),
		closeFile: () => {
			if (file !== undefined) digests.set(file.path, file.hash.digest('base64'));
			file = undefined;
		},
		abandon: nothing,
		finish: () => [],
	};
	return { disk, digests };
}

/** Keeps `digests` in the directory of a layer. */
export function writeLayerDigests(directory: string, digests: LayerDigests): void {
	writeFileSync(join(directory, FILE_NAME), JSON.stringify([...digests]), { mode: 0o600 });
}

/** Reads what {@link writeLayerDigests} kept; undefined when it is not there or damaged. */
export function readLayerDigests(directory: string): LayerDigests | undefined {
	const read = () => JSON.parse(readFileSync(join(directory, FILE_NAME), 'utf8')) as readonly [RootPath, string][];
	return attempt(() => new Map(read()));
}

/** The digest of a file's content, as {@link LayerDigests} has it. Throws the error of the file system, also for a link. */
export function digestFile(path: RawPath): string {
	return digestOpenFile(openSync(fsPath(path), O_READ));
}

/** {@link digestFile} of an open file, which it closes. */
export function digestOpenFile(file: number): string {
	const hash = createHash('sha256');
	const buffer = Buffer.allocUnsafe(CHUNK);
	try {
		for (;;) {
			const count = readSync(file, buffer, 0, CHUNK, null);
			if (count === 0) return hash.digest('base64');
			hash.update(buffer.subarray(0, count));
		}
	} finally {
		closeSync(file);
	}
}

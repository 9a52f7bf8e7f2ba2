import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../errors.js';
import { type Digest, hexOf } from '../oci/digest.js';
import { formatLayerIndex, type LayerIndex, parseLayerIndex } from './layer-index.js';

/** Unpacked layers of one id mapping, by diffID. A layer is visible only as a whole, after its digests matched. */
export interface LayerStore {
	readonly has: (diffId: Digest) => boolean;
	/** The directory that holds the layer's files. */
	readonly rootOf: (diffId: Digest) => string;
	/** Undefined when the layer is not there, or was written by another version. */
	readonly readIndex: (diffId: Digest) => LayerIndex | undefined;
	/** Makes the directory `unpacked`, as {@link writeUnpackedLayer} left it, the layer `diffId`. */
	readonly publish: (diffId: Digest, unpacked: string) => void;
}

const ROOT_NAME = 'fs';
const INDEX_NAME = 'index.json';

/** Opens, and where needed makes, the layers below `directory`. */
export function openLayerStore(directory: string): LayerStore {
	mkdirSync(directory, { recursive: true, mode: 0o700 });
	const pathOf = (diffId: Digest) => join(directory, hexOf(diffId));
	return {
		has: (diffId) => {
			const path = pathOf(diffId);
			if (!existsSync(join(path, INDEX_NAME))) return false;
			const now = new Date();
			utimesSync(path, now, now);
			return true;
		},
		rootOf: (diffId) => join(pathOf(diffId), ROOT_NAME),
		readIndex: (diffId) => {
			try {
				return parseLayerIndex(readFileSync(join(pathOf(diffId), INDEX_NAME), 'utf8'));
			} catch (error) {
				if (errnoOf(error) === 'ENOENT') return undefined;
				throw error;
			}
		},
		publish: (diffId, unpacked) => publish(unpacked, pathOf(diffId)),
	};
}

/** The directory below `unpacked` that a layer's files are unpacked into. */
export function unpackRoot(unpacked: string): string {
	return join(unpacked, ROOT_NAME);
}

/** Completes `unpacked` with the layer's index. */
export function writeUnpackedLayer(unpacked: string, index: LayerIndex): void {
	writeFileSync(join(unpacked, INDEX_NAME), formatLayerIndex(index), { mode: 0o600 });
}

/** A concurrent build may have published the same layer first; then ours is dropped, for both are equal. */
function publish(unpacked: string, path: string): void {
	try {
		renameSync(unpacked, path);
	} catch (error) {
		if (!['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
		rmSync(unpacked, { recursive: true, force: true });
	}
}

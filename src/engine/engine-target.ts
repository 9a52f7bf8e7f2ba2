import type { ImageSource, ImageTarget, OpenContent } from '../content/blob.js';
import { isBuildError } from '../errors.js';
import type { Digest } from '../oci/digest.js';
import { layerCompression } from '../oci/media-types.js';
import { namesRegistry } from '../oci/reference.js';
import { packArchive } from '../tar/archive.js';
import type { Engine } from './engine.js';
import type { EngineSource } from './engine-source.js';
import { loadArchive } from './load-archive.js';

/**
 * The store of `engine` as an image target. Nothing is sent before the manifest is put; then config, layers and name go to the engine as
 * one stream, in which the plain layers of an image of the same engine are left out. An engine that wants these too gets them.
 */
export function openEngineTarget(engine: Engine): ImageTarget {
	const contents = new Map<Digest, OpenContent>();
	const shared = new Map<Digest, OpenContent>();
	return {
		has: () => Promise.resolve(false),
		mount: (blob, from) => {
			const isThere =
				isEngineSource(from) && from.engine.type === engine.type && layerCompression(blob.mediaType) === 'none';
			if (isThere) shared.set(blob.digest, (signal) => from.open(blob, signal));
			return Promise.resolve(isThere);
		},
		put: (blob, content) => {
			contents.set(blob.digest, content);
			return Promise.resolve();
		},
		putManifest: async (manifest, tag, signal) => {
			const load = (blobs: ReadonlyMap<Digest, OpenContent>) =>
				engine.load(packArchive(loadArchive(engine.type, manifest, tag, blobs), signal), signal);
			try {
				await load(contents);
			} catch (error) {
				if (shared.size === 0 || !isBuildError(error, 'ENGINE_FAILED')) throw error;
				await load(new Map([...shared, ...contents]));
			}
		},
	};
}

/** The name under which both `podman run NAME` and its API find an image that was loaded as `name`; Docker completes names itself. */
export function nameInStore(engine: Pick<Engine, 'type'>, name: string): string {
	const tagged = /:[^/]*$/.test(name) ? name : `${name}:latest`;
	return engine.type === 'podman' && !namesRegistry(name) ? `localhost/${tagged}` : tagged;
}

function isEngineSource(source: ImageSource): source is EngineSource {
	return 'engine' in source;
}

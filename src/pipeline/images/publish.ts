import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { Image } from '../../oci/image.js';
import type { BuildRecord } from '../record.js';
import type { OpenedTarget } from './open-image.js';
import { putBlob } from './transfer.js';

/** Throws what a target says that lets us put nothing: assemble may take long, and would be in vain. */
export async function admitAll(targets: readonly OpenedTarget[], signal: AbortSignal): Promise<void> {
	await Promise.all(targets.map(async ({ target }) => target.admit?.(signal)));
}

/**
 * Publishes `image`, whose base layers are on their way: at each target the new layer (the file `layerPath`), then, once all layers are
 * there, the config, then the manifest with its tag. What is visible is therefore always complete. When one target fails, the others
 * stop.
 */
export async function publishImage(
	image: Image,
	layerPath: string,
	targets: readonly OpenedTarget[],
	baseLayers: Promise<void>,
	record: BuildRecord,
	signal: AbortSignal,
): Promise<void> {
	const layer = image.layers.at(-1)?.blob;
	const { config, manifest } = image;
	const stop = new AbortController();
	const either = AbortSignal.any([signal, stop.signal]);
	const publish = async (opened: OpenedTarget) => {
		if (layer !== undefined)
			await putBlob(layer, () => Promise.resolve(createReadStream(layerPath)), opened, record, either);
		await baseLayers;
		await opened.target.put(config.descriptor, () => Promise.resolve(Readable.from([config.bytes])), either);
		await opened.target.putManifest(manifest, opened.tag, either);
		record.emit({ type: 'log', level: 1, message: `${opened.done} ${opened.name}@${manifest.descriptor.digest}` });
	};
	const publishing = targets.map(publish);
	try {
		await Promise.all(publishing);
	} catch (error) {
		stop.abort(error);
		await Promise.allSettled(publishing);
		throw error;
	}
}

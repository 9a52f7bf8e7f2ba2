import { posix } from 'node:path';
import { BuildError } from '../../errors.js';
import { diffIdsOf } from '../../oci/image.js';
import type { BuildContext } from '../context.js';
import { mountRoot } from '../root.js';

/**
 * Copies what the request wants of other images into the host directory `source`, one image after the other; their layers are in the store.
 * Modes and times are those of the images. Throws SOURCE_NOT_FOUND for what an image does not have, SOURCE_INVALID for what the source does
 * not let in.
 */
export async function copySourceImages(context: BuildContext, source: string): Promise<void> {
	const { request, images, record } = context;
	for (const [index, { image, opened }] of images.sources.entries()) {
		const paths = request.source.images?.[index]?.paths ?? [];
		const artifacts = paths.map((path) => ({ source: path.source, destination: posix.join('/', path.destination) }));
		const root = await mountRoot('origin', diffIdsOf(image), context);
		try {
			const { missing, skipped } = await root.copyToSource({ to: source, artifacts });
			if (missing.length > 0) throw notThere(missing, opened.name);
			for (const path of skipped) {
				const message = `${path} is not copied into the source: ${opened.name} has neither a file, a directory nor a link there`;
				record.emit({ type: 'warning', code: 'SKIPPED', message });
			}
		} finally {
			await root.unmount();
		}
	}
}

function notThere(missing: readonly string[], name: string): BuildError {
	const paths = missing.map((path) => JSON.stringify(path)).join(', ');
	return new BuildError('SOURCE_NOT_FOUND', `the image ${name} has no ${paths} to copy into the source`, {
		hint: 'Correct the sourcePath in spec.source.images of the BuildConfig, or name another image.',
	});
}

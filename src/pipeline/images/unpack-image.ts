import type { Readable } from 'node:stream';
import type { WorkerProcess } from '../../host/start-worker.js';
import type { Digest } from '../../oci/digest.js';
import { diffIdsOf, type Image, type Layer } from '../../oci/image.js';
import { layerCompression } from '../../oci/media-types.js';
import type { WantedLayer } from '../../protocol/worker-calls.js';
import type { Emit } from '../events.js';
import type { Session } from '../session.js';

/** Where the worker's layers come from. `settle` is told which blobs the worker will ask for, as soon as that is known. */
export interface LayerProvider {
	readonly open: (digest: string, signal: AbortSignal) => Promise<Readable>;
	readonly settle: (unpacking: ReadonlySet<Digest>) => void;
	/** Called when the worker asks for no more. */
	readonly release: () => void;
}

/** Makes sure that every layer of `image` is unpacked in the store. A layer that is there already costs nothing. */
export async function unpackImage(
	image: Image,
	provider: LayerProvider,
	worker: WorkerProcess,
	session: Session,
	emit: Emit,
): Promise<void> {
	const { present } = await worker.call('present', { diffIds: diffIdsOf(image) });
	const there = new Set(present);
	const missing = image.layers.filter((layer) => !there.has(layer.diffId));
	provider.settle(new Set(missing.map((layer) => layer.blob.digest)));
	for (const { blob, diffId } of image.layers) {
		if (there.has(diffId))
			emit({ type: 'blob', transfer: 'pull', digest: blob.digest, size: blob.size, status: 'present' });
	}
	if (missing.length === 0) return;
	const server = await session.serveBlobs(provider.open);
	try {
		const { lostXattrs } = await worker.call('unpack', { layers: missing.map(wanted), blobSocket: server.path });
		for (const name of lostXattrs) {
			emit({
				type: 'warning',
				code: 'XATTR_LOST',
				message: `this host cannot keep the extended attribute ${name} of the builder image`,
			});
		}
	} catch (error) {
		throw server.failure() ?? error;
	} finally {
		provider.release();
		server.close();
	}
}

function wanted({ blob, diffId }: Layer): WantedLayer {
	return { diffId, blob: { digest: blob.digest, size: blob.size }, compression: layerCompression(blob.mediaType) };
}

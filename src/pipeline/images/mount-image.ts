import type { ImageLocation } from '../../content/location.js';
import { diffIdsOf, type Image } from '../../oci/image.js';
import { pullFor } from '../fit-in-place.js';
import type { BuildRecord } from '../record.js';
import type { HostRequest, PullPolicy } from '../request.js';
import { mountRoot, type Root } from '../root.js';
import type { Session } from '../session.js';
import { resolveWithPolicy } from './image-record.js';
import { recordContext } from './images.js';
import { openImageSource } from './open-image.js';
import { startBaseTransfer } from './transfer.js';
import { unpackImage } from './unpack-image.js';

/** An image, and its root filesystem. */
export interface MountedImage {
	readonly image: Image;
	readonly root: Root;
}

/** Pulls the image at `location` as far as the store lacks it, and mounts it as the root filesystem `builder`. */
export async function mountImage(
	location: ImageLocation,
	policy: PullPolicy,
	{ host, session, record }: { readonly host: HostRequest; readonly session: Session; readonly record: BuildRecord },
	signal: AbortSignal,
): Promise<MountedImage> {
	const opened = await openImageSource(location, session.access, signal);
	const resolving = () => resolveWithPolicy(opened, policy, recordContext(host, session), record.emit, signal);
	const image = await record.stage('resolve', resolving);
	const base = startBaseTransfer(image, opened.source, [], { record, scratch: session.scratch }, signal);
	const worker = await session.worker;
	const pull = () => unpackImage(image, base, worker, session, record.emit);
	await record.stage('pull', () => pullFor({ image, name: opened.name }, { host, worker }, pull));
	return { image, root: await mountRoot('builder', diffIdsOf(image), { worker, record }) };
}

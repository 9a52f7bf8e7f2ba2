import { Readable } from 'node:stream';
import type { ImageLocation } from '../../content/location.js';
import { isBuildError } from '../../errors.js';
import { hexOf } from '../../oci/digest.js';
import type { Image } from '../../oci/image.js';
import type { BuildContext } from '../context.js';
import { type OpenedSource, type OpenedTarget, openImageSource } from '../images/open-image.js';
import { moveLayers } from '../images/transfer.js';

export type ReuseContext = Omit<BuildContext, 'worker'>;

/** An image that may be the one, and where its blobs are, if that is known. */
export interface Candidate {
	readonly image: Image;
	readonly opened: OpenedSource | undefined;
}

/** Whether an image at `location` can be looked at without taking it apart. */
export function isReadable({ type }: ImageLocation): boolean {
	return type === 'registry' || type === 'oci' || type === 'oci-archive';
}

/** What is at a target: the image under its name, the image under another one, or neither. */
type Standing = 'named' | 'there' | 'missing';

/** Has every target name `image`, and reports it. False, with no name changed, when its blobs cannot be had. */
export async function nameAgain({ image, opened }: Candidate, context: ReuseContext): Promise<boolean> {
	const { request, images, record, session, signal } = context;
	const { digest } = image.manifest.descriptor;
	const standing = images.targets.map(async (target, index) => {
		const location = request.output.targets[index];
		const found = location && (await unlessRefused(signal, () => lookAt(image, location, target, context)));
		return { target, location, standing: found ?? ('missing' as const) };
	});
	const places = await Promise.all(standing);
	const missing = places.filter((place) => place.standing === 'missing').map(({ target }) => target);
	const holder = places.find((place) => place.standing !== 'missing' && place.location && isReadable(place.location));
	if (missing.length > 0) {
		const from = opened ?? (holder?.location && (await openImageSource(holder.location, session.access, signal)));
		if (from === undefined) return false;
		const moving = moveLayers(image, from.source, missing, { record, scratch: session.scratch }, signal);
		if ((await unlessRefused(signal, () => moving.then(() => true))) !== true) return false;
	}
	for (const { target, standing: found } of places) {
		if (found === 'missing') {
			const { descriptor, bytes } = image.config;
			await target.target.put(descriptor, () => Promise.resolve(Readable.from([bytes], { objectMode: false })), signal);
		}
		if (found === 'named') continue;
		await target.target.putManifest(image.manifest, target.tag, signal);
		record.emit({ type: 'log', level: 1, message: `${target.done} ${target.name}@${digest}` });
	}
	const message = `builder, source, scripts, options and environment are those of ${digest}: nothing runs (--reuse never builds it anyway)`;
	record.emit({ type: 'log', level: 1, message });
	return true;
}

async function lookAt(
	image: Image,
	location: ImageLocation,
	{ target, tag }: OpenedTarget,
	{ session, signal }: ReuseContext,
): Promise<Standing> {
	const { digest } = image.manifest.descriptor;
	const { source, inspect } = await openImageSource(location, session.access, signal);
	if (inspect !== undefined)
		return (await inspect(signal)).id.endsWith(hexOf(image.config.descriptor.digest)) ? 'named' : 'missing';
	if (!isReadable(location)) return 'missing';
	if (location.type === 'oci') {
		const blobs = [image.config.descriptor, ...image.layers.map(({ blob }) => blob)];
		if (!(await Promise.all(blobs.map((blob) => target.has(blob, signal)))).every(Boolean)) return 'missing';
	}
	const names = async (reference: string) => (await source.manifest(reference, signal)).descriptor.digest === digest;
	if (await unlessRefused(signal, () => names(tag ?? digest))) return 'named';
	return location.type !== 'oci-archive' && (await unlessRefused(signal, () => names(digest))) ? 'there' : 'missing';
}

/** What is not there, or may not be read, is no image that could be named again. */
export async function unlessRefused<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
	try {
		return await work();
	} catch (error) {
		signal.throwIfAborted();
		if (!isBuildError(error)) throw error;
		return undefined;
	}
}

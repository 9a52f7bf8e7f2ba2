import { parseImageLocation } from '../content/location.js';
import { BuildError } from '../errors.js';
import type { Image } from '../oci/image.js';
import { interruptedBy } from './build.js';
import type { ImageName, RegistryOptions, Watching } from './options.js';

/**
 * The image of a registry or of an OCI layout, for the platform of this host or of `options`: its manifest and config as they were received,
 * verified, and the digests of its layers, of which no byte is fetched. Rejects with USAGE for an image in an archive or in a local engine, with
 * IMAGE_PLATFORM where there is none for the platform, and with what the registry answers.
 */
export async function resolveImage(
	image: ImageName,
	options: RegistryOptions = {},
	{ onEvent = () => undefined, signal }: Watching = {},
): Promise<Image> {
	const location = typeof image === 'string' ? parseImageLocation(image) : image;
	if (location.type !== 'registry' && location.type !== 'oci') throw elsewhere(location.type);
	const [{ readRegistryOptions }, { openImageSource }, resolving, { openNetwork }] = await Promise.all([
		import('./read-options.js'),
		import('../pipeline/images/open-image.js'),
		import('../pipeline/images/resolve-image.js'),
		import('../pipeline/network.js'),
	]);
	const request = readRegistryOptions(options, onEvent);
	using stop = interruptedBy(signal);
	await using network = openNetwork(request, onEvent);
	const none = () => Promise.reject(elsewhere(location.type));
	const access = { registry: network.registries.open, engine: none, scratch: none, present: none };
	return await resolving.resolveImage(
		await openImageSource(location, access, stop.signal),
		request.platform,
		stop.signal,
	);
}

function elsewhere(type: string): BuildError {
	return new BuildError('USAGE', `an image of ${type} cannot be resolved without reading all of it`, {
		hint: 'Name an image on a registry, or oci:DIR[:REF].',
	});
}

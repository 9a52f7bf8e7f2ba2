import { absoluteLocation, formatImageLocation, type ImageLocation, imageNameOf } from '../../content/location.js';
import type { Digest } from '../../oci/digest.js';
import { appendLayer, type Image } from '../../oci/image.js';
import { familyOf, layerMediaType } from '../../oci/media-types.js';
import type { PackedLayer } from '../../protocol/worker-calls.js';
import { type ImageChangeInput, imageChange } from '../../s2i/image-change.js';
import { type Builder, VOLATILE_LABEL } from '../../s2i/labels.js';
import type { RebuildInputs } from '../../s2i/rebuild.js';
import type { SourceInfo } from '../../source/source.js';
import type { Assembled } from '../assemble/assemble.js';
import type { BuildContext } from '../context.js';
import { readOptionEnvironment } from '../prepare/build-environment.js';
import type { BuildRequest } from '../request.js';
import type { BaseImage, BuildImages } from './images.js';

/** The image that a build makes: its base with `layer` and the config that source, scripts and command line ask for; `key` for its label. */
export async function makeResultImage(
	{ request, images }: BuildContext,
	source: SourceInfo,
	assembled: Assembled,
	layer: PackedLayer,
	key: Digest | undefined,
): Promise<Image> {
	const base = images.runtime ?? images.builder;
	const { digest, size, diffId } = layer;
	const mediaType = layerMediaType(familyOf(base.image.manifest.value.mediaType), 'gzip');
	const rebuild = await rebuildInputs(request, source);
	const { runPath, environment, labels, config } = assembled;
	const label = labels[VOLATILE_LABEL] === 'true' ? undefined : key;
	const change = imageChange({
		...described(request, images, source),
		runPath,
		environment,
		labels,
		rebuild,
		key: label,
	});
	const changed = config === undefined ? change : { ...change, config: () => change.config(config) };
	return appendLayer(base.image, { blob: { mediaType, digest, size }, diffId }, changed);
}

/** Throws IMAGE_INVALID when the labels are too many, whatever assemble will add to them. */
export function checkLabels({ request, images }: BuildContext, source: SourceInfo): void {
	const nothing = { runPath: undefined, environment: [], labels: {} };
	const { image } = images.runtime ?? images.builder;
	imageChange({ ...described(request, images, source), ...nothing }).config(image.config.value.config ?? {});
}

/** What the image's config says of where it comes from. */
function described(
	{ image, ...request }: BuildRequest,
	{ builder, runtime }: BuildImages,
	source: SourceInfo,
): Omit<ImageChangeInput, 'runPath' | 'environment' | 'labels' | 'rebuild' | 'key'> {
	return {
		optionLabels: image.labels,
		source,
		builder: describe(builder, request.builder),
		base: runtime && request.runtime && describe(runtime, request.runtime.image),
		displayName: image.applicationName ?? image.tagName,
		description: image.description,
	};
}

function describe({ image }: BaseImage, location: ImageLocation): Builder {
	return { name: imageNameOf(location), digest: image.manifest.descriptor.digest };
}

async function rebuildInputs(request: BuildRequest, source: SourceInfo): Promise<Required<RebuildInputs>> {
	const { builder, runtime } = request;
	const { copy, keepSymlinks, ignoreSubmodules, exclude } = request.source;
	const { scriptsUrl, destination, assembleUser } = request.scripts;
	const { applicationName, description, labels } = request.image;
	return {
		...{ copy, keepSymlinks, ignoreSubmodules, exclude, labels },
		...{ scriptsUrl, destination, assembleUser, applicationName, description },
		builder: formatImageLocation(absoluteLocation(builder)),
		source: source.location,
		commit: source.commit,
		contextDir: source.contextDir,
		environment: await readOptionEnvironment(request.variables),
		runtime: runtime && {
			image: formatImageLocation(absoluteLocation(runtime.image)),
			artifacts: [...runtime.artifacts],
			user: runtime.user,
		},
	};
}

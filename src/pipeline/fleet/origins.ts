import { attempt, BuildError } from '../../errors.js';
import { type Digest, isDigest } from '../../oci/digest.js';
import type { Image } from '../../oci/image.js';
import { BUILDER_LABEL } from '../../s2i/labels.js';
import { decodeRebuild, type RebuildInputs, refuseLocalAddresses } from '../../s2i/rebuild.js';

/** An image that another was made from: a name as labels say it, and the digest that it had then, where that was kept. */
export interface Origin {
	readonly name: string;
	readonly digest: Digest | undefined;
}

/** What an image was made from: its builder, then its runtime image. `obstacle` says why it cannot be built again from that. */
export interface Origins {
	readonly origins: readonly Origin[];
	readonly obstacle?: string;
}

const BASE = 'org.opencontainers.image.base';

/**
 * What `image`, called `name` in messages, says of what it was made from: by the labels that `s2oci rebuild` reads, ours or S2I's, and by
 * `org.opencontainers.image.base.name` and `.digest` among its annotations or labels (image-spec v1.1 annotations.md), which are those of the
 * runtime image where there is one. Throws IMAGE_INVALID when it says nothing, or names an address that only this machine should ask.
 */
export function originsOf({ manifest, config }: Image, name: string): Origins {
	const { Labels, Env } = config.value.config ?? {};
	const labels = Labels ?? {};
	const said = { ...labels, ...manifest.value.annotations };
	const [baseName = '', base] = [said[`${BASE}.name`], digestIn(said[`${BASE}.digest`])];
	const inputs = attempt(() => decodeRebuild(labels, Env, name));
	if (inputs === undefined && baseName !== '') {
		refuseLocalAddresses({ builder: baseName, source: '' }, false, name);
		return { origins: [{ name: baseName, digest: base }], obstacle: 'it does not say how it was built' };
	}
	if (inputs === undefined) throw silent(name);
	refuseLocalAddresses(inputs, true, name);
	return { origins: fromInputs(inputs, digestIn(labels[BUILDER_LABEL]), base), ...obstacleOf(inputs) };
}

function fromInputs({ builder, runtime }: RebuildInputs, built: Digest | undefined, base: Digest | undefined) {
	if (runtime === undefined) return [{ name: builder, digest: built ?? base }];
	return [
		{ name: builder, digest: built },
		{ name: runtime.image, digest: base },
	];
}

function obstacleOf({ source }: RebuildInputs): Pick<Origins, 'obstacle'> {
	return source === '-' ? { obstacle: 'it was made from what stood on standard input' } : {};
}

function digestIn(text: string | undefined): Digest | undefined {
	return text !== undefined && isDigest(text) ? text : undefined;
}

function silent(name: string): BuildError {
	return new BuildError('IMAGE_INVALID', `${name} says neither how it was built nor what its base is`, {
		hint: 'Only images that s2oci or s2i built can be built again.',
	});
}

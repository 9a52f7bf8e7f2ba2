import { gzipSync } from 'node:zlib';
import type { ContainerConfig } from '../../src/oci/image.js';
import { layerMediaType } from '../../src/oci/media-types.js';
import type { TestRegistry } from './registry.js';
import { type TarMember, tarOf } from './tar.js';
import { type BuilderParts, encodeImage, publish, tinyParts } from './tiny.js';

/** What an image has more than the tiny builder. */
export interface ImageParts {
	/** Merged over the tiny builder's config; an undefined field is taken away. */
	readonly config?: { readonly [Field in keyof ContainerConfig]?: ContainerConfig[Field] | undefined };
	/** Lowest first; the tiny builder's when undefined. */
	readonly tars?: readonly Uint8Array[];
	/** One more layer. */
	readonly files?: readonly TarMember[];
}

/** Puts the tiny builder, changed, into `registry` as `builders/<name>:latest`; returns its reference. */
export function publishImage(registry: TestRegistry, name: string, { config, tars, files }: ImageParts): string {
	const parts = tinyParts();
	const changed = { ...parts.config.config, ...config };
	const added = files === undefined ? [] : [tarOf(files)];
	const image: BuilderParts = {
		tars: [...(tars ?? parts.tars), ...added],
		config: { ...parts.config, config: JSON.parse(JSON.stringify(changed)) as ContainerConfig },
	};
	const gzip = (tar: Uint8Array) => ({ mediaType: layerMediaType('oci', 'gzip'), bytes: gzipSync(tar) });
	publish(registry, encodeImage(image, gzip), `builders/${name}`);
	return `${registry.host}/builders/${name}`;
}

import { BuildError } from '../errors.js';
import type { ContainerConfig, ImageChange } from '../oci/image.js';
import type { SourceInfo } from '../source/source.js';
import { type EnvironmentVariable, mergeEnvironment, readImageEnvironment } from './environment.js';
import { type Builder, sourceAnnotations, sourceLabels } from './labels.js';

/** What the image config of the result is made from. */
export interface ImageChangeInput {
	/** Path of the run script inside the image. */
	readonly runPath: string;
	/** `.s2i/environment` and `-e`, merged. */
	readonly environment: readonly EnvironmentVariable[];
	/** Of `image_metadata.json`; they win over every other label. */
	readonly labels: Readonly<Record<string, string>>;
	readonly source: SourceInfo;
	readonly builder: Builder;
	/** The tag as the user gave it, for `io.k8s.display-name`; inherited when undefined. */
	readonly displayName: string | undefined;
}

const MAX_LABELS = 10 * 1024;

/**
 * The config of a built image: CMD is the exec form of the run script, ENV and labels are merged over the builder's, ONBUILD is
 * dropped, everything else (USER, ENTRYPOINT, WORKDIR, unknown fields) is the builder's. Its dates are `source.epoch`. The config
 * function throws IMAGE_INVALID when the labels exceed S2I's 10 KiB.
 */
export function imageChange(input: ImageChangeInput): ImageChange {
	const created = formatTime(input.source.epoch);
	return {
		config: (base) => changeConfig(base, input),
		created,
		history: {
			created,
			created_by: `s2oci build ${input.builder.name}@${input.builder.digest}`,
			comment: 's2i assemble',
		},
		annotations: sourceAnnotations(input.source, input.builder, created),
	};
}

function changeConfig(base: ContainerConfig, input: ImageChangeInput): ContainerConfig {
	const kept = Object.fromEntries(Object.entries(base).filter(([field]) => field !== 'OnBuild')) as ContainerConfig;
	const env = mergeEnvironment(readImageEnvironment(base.Env), input.environment);
	return {
		...kept,
		Cmd: [input.runPath],
		Env: env.map(({ name, value }) => `${name}=${value}`),
		Labels: checkSize({
			...base.Labels,
			...sourceLabels(input.source, input.builder, input.displayName),
			...input.labels,
		}),
	};
}

function checkSize(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
	const sizes = Object.entries(labels).map(([name, value]) => [name, Buffer.byteLength(name + value)] as const);
	const total = sizes.reduce((sum, [, size]) => sum + size, 0);
	if (total <= MAX_LABELS) return labels;
	const largest = sizes.reduce((a, b) => (b[1] > a[1] ? b : a));
	throw new BuildError('IMAGE_INVALID', `the labels of the image take ${total} bytes; S2I allows ${MAX_LABELS}`, {
		hint: `Shorten the labels in image_metadata.json or the builder image; the largest is ${JSON.stringify(largest[0].slice(0, 100))}.`,
	});
}

function formatTime(epoch: number): string {
	return new Date(epoch * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}

import { BuildError } from '../errors.js';
import type { Digest } from '../oci/digest.js';
import type { ContainerConfig, ImageChange } from '../oci/image.js';
import type { SourceInfo } from '../source/source.js';
import { type EnvironmentVariable, mergeEnvironment, readImageEnvironment } from './environment.js';
import { type Builder, KEY_LABEL, sourceAnnotations, sourceLabels, withoutBuildLabels } from './labels.js';
import { encodeRebuild, REBUILD_LABEL, type RebuildInputs } from './rebuild.js';

/** What the image config of the result is made from. */
export interface ImageChangeInput {
	/** Path of the run script inside the image; undefined when the base says what runs. */
	readonly runPath: string | undefined;
	/** `.s2i/environment`, `-e` and `-E`, merged. */
	readonly environment: readonly EnvironmentVariable[];
	/** Of `image_metadata.json`; they win over every other label, but those that say how the image was built are left out. */
	readonly labels: Readonly<Record<string, string>>;
	/** `--label`, in order; they win over what the build itself says. */
	readonly optionLabels?: readonly EnvironmentVariable[];
	readonly source: SourceInfo;
	readonly builder: Builder;
	/** The runtime image, when the result is based on that. */
	readonly base?: Builder | undefined;
	/** The application name, else the tag as the user gave it, for `io.k8s.display-name`; inherited when undefined. */
	readonly displayName: string | undefined;
	/** For `io.k8s.description`; inherited when undefined. */
	readonly description?: string | undefined;
	/** Written when it fits into the limit of labels. */
	readonly rebuild?: RebuildInputs | undefined;
	/** What an unchanged build is known by. Written when it fits into the limit of labels. */
	readonly key?: Digest | undefined;
}

const MAX_LABELS = 10 * 1024;

/**
 * The config of a built image: CMD is the exec form of the run script, ENV and labels are merged over the base's, ONBUILD is
 * dropped, everything else (USER even when empty, ENTRYPOINT, WORKDIR, unknown fields) is the base's. Labels, later ones win: base,
 * generated, `--label`, `image_metadata.json`. Its dates are `source.epoch`. The config function throws IMAGE_INVALID when the labels
 * exceed S2I's 10 KiB.
 */
export function imageChange(input: ImageChangeInput): ImageChange {
	const created = new Date(input.source.epoch * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
	return {
		config: (base) => changeConfig(base, input),
		created,
		history: {
			created,
			created_by: `s2oci build ${input.builder.name}@${input.builder.digest}`,
			comment: 's2i assemble',
		},
		annotations: sourceAnnotations(input.source, input.base ?? input.builder, created),
	};
}

function changeConfig(base: ContainerConfig, input: ImageChangeInput): ContainerConfig {
	const kept = Object.fromEntries(Object.entries(base).filter(([field]) => field !== 'OnBuild')) as ContainerConfig;
	const env = mergeEnvironment(readImageEnvironment(base.Env), input.environment);
	return {
		...kept,
		...(input.runPath !== undefined && { Cmd: [input.runPath] }),
		Env: env.map(({ name, value }) => `${name}=${value}`),
		Labels: checkSize(mergeLabels(base.Labels ?? {}, input)),
	};
}

type Labels = Readonly<Record<string, string>>;

function mergeLabels(inherited: Labels, input: ImageChangeInput): Labels {
	const { displayName, description, rebuild, key, optionLabels = [] } = input;
	const labels = {
		...withoutBuildLabels(inherited),
		...sourceLabels(input.source, input.builder, { displayName, description }),
		...Object.fromEntries(optionLabels.map(({ name, value }) => [name, value])),
		...withoutBuildLabels(input.labels),
	};
	const rebuilt = rebuild && !(REBUILD_LABEL in labels) ? { [REBUILD_LABEL]: encodeRebuild(rebuild) } : {};
	const own = [rebuilt, key === undefined ? {} : { [KEY_LABEL]: key }];
	return own.reduce<Labels>(
		(all, more) => (sizeOf({ ...all, ...more }) <= MAX_LABELS ? { ...all, ...more } : all),
		labels,
	);
}

function sizeOf(labels: Labels): number {
	return Object.entries(labels).reduce((sum, [name, value]) => sum + Buffer.byteLength(name + value), 0);
}

function checkSize(labels: Labels): Labels {
	const total = sizeOf(labels);
	if (total <= MAX_LABELS) return labels;
	const sizes = Object.entries(labels).map(([name, value]) => [name, Buffer.byteLength(name + value)] as const);
	const largest = sizes.reduce((a, b) => (b[1] > a[1] ? b : a));
	throw new BuildError('IMAGE_INVALID', `the labels of the image take ${total} bytes; S2I allows ${MAX_LABELS}`, {
		hint: `Shorten the labels of --label, image_metadata.json or the builder image; the largest is ${JSON.stringify(largest[0].slice(0, 100))}.`,
	});
}

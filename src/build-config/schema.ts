import * as v from 'valibot';

const reference = v.looseObject({
	kind: v.optional(v.picklist(['DockerImage', 'ImageStreamTag', 'ImageStreamImage']), 'ImageStreamTag'),
	name: v.pipe(v.string(), v.nonEmpty()),
	namespace: v.optional(v.string()),
});

const key = v.looseObject({
	name: v.pipe(v.string(), v.nonEmpty()),
	key: v.pipe(v.string(), v.nonEmpty()),
	optional: v.optional(v.boolean(), false),
});

const variable = v.looseObject({
	name: v.pipe(v.string(), v.regex(/^[^=\0]+$/)),
	value: v.optional(v.string()),
	valueFrom: v.optional(v.looseObject({ secretKeyRef: v.optional(key), configMapKeyRef: v.optional(key) })),
});

const named = v.looseObject({ name: v.pipe(v.string(), v.nonEmpty()) });
const paths = v.looseObject({ sourcePath: v.string(), destinationDir: v.optional(v.string(), '') });
const items = v.optional(v.array(v.looseObject({ key: v.string(), path: v.string() })));
const volumeSource = { items, optional: v.optional(v.boolean(), false) };

const volume = v.looseObject({
	name: v.string(),
	source: v.looseObject({
		type: v.optional(v.string()),
		secret: v.optional(v.looseObject({ secretName: v.string(), ...volumeSource })),
		configMap: v.optional(v.looseObject({ name: v.string(), ...volumeSource })),
	}),
	mounts: v.array(v.looseObject({ destinationPath: v.string() })),
});

const sourceStrategy = v.looseObject({
	from: reference,
	env: v.optional(v.array(variable), []),
	scripts: v.optional(v.string(), ''),
	incremental: v.optional(v.boolean(), false),
	forcePull: v.optional(v.boolean(), false),
	pullSecret: v.optional(named),
	runtimeImage: v.optional(reference),
	runtimeArtifacts: v.optional(v.array(paths), []),
	volumes: v.optional(v.array(volume), []),
});

const source = v.looseObject({
	type: v.optional(v.string()),
	git: v.optional(
		v.looseObject({
			uri: v.pipe(v.string(), v.nonEmpty()),
			ref: v.optional(v.string(), ''),
			httpProxy: v.optional(v.string()),
			httpsProxy: v.optional(v.string()),
			noProxy: v.optional(v.string()),
		}),
	),
	binary: v.optional(v.looseObject({ asFile: v.optional(v.string(), '') })),
	contextDir: v.optional(v.string(), ''),
	sourceSecret: v.optional(named),
	images: v.optional(
		v.array(v.looseObject({ from: reference, paths: v.optional(v.array(paths), []), pullSecret: v.optional(named) })),
		[],
	),
	secrets: v.optional(v.array(v.looseObject({ secret: named, destinationDir: v.optional(v.string(), '') })), []),
	configMaps: v.optional(v.array(v.looseObject({ configMap: named, destinationDir: v.optional(v.string(), '') })), []),
});

const postCommit = v.looseObject({
	script: v.optional(v.string(), ''),
	command: v.optional(v.array(v.string()), []),
	args: v.optional(v.array(v.string()), []),
});

/** A BuildConfig of build.openshift.io/v1 with the source strategy (openshift/api, build/v1/types.go), as far as s2oci uses it. */
export const buildConfigSchema = v.looseObject({
	metadata: v.looseObject({ name: v.pipe(v.string(), v.nonEmpty()), namespace: v.optional(v.string()) }),
	spec: v.looseObject({
		strategy: v.looseObject({ sourceStrategy }),
		source: v.optional(source, {}),
		output: v.optional(
			v.looseObject({
				to: v.optional(reference),
				pushSecret: v.optional(named),
				imageLabels: v.optional(
					v.array(v.looseObject({ name: v.pipe(v.string(), v.nonEmpty()), value: v.optional(v.string(), '') })),
					[],
				),
			}),
			{},
		),
		postCommit: v.optional(postCommit, {}),
		completionDeadlineSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
		resources: v.optional(
			v.looseObject({
				limits: v.optional(
					v.looseObject({
						memory: v.optional(v.union([v.string(), v.number()])),
						cpu: v.optional(v.union([v.string(), v.number()])),
					}),
					{},
				),
			}),
			{},
		),
	}),
});

/** What {@link buildConfigSchema} makes of a BuildConfig. */
export type BuildConfig = v.InferOutput<typeof buildConfigSchema>;

/** The name of an image, as a BuildConfig gives it. */
export type ImageReference = v.InferOutput<typeof reference>;

/** A variable of a BuildConfig. */
export type Variable = v.InferOutput<typeof variable>;

import * as v from 'valibot';
import { BuildError } from '../errors.js';
import { redact } from '../redact.js';
import type { ImageReference } from './schema.js';
import type { YamlObject } from './yaml-objects.js';

/** What `--image-stream` says: the image of a stream, or where all streams are. */
export interface GivenStream {
	/** `NAME`, `NAME:TAG`, either with `NAMESPACE/` before it, or `*`. */
	readonly stream: string;
	/** An image; for `*` the registry, and what else stands before `NAMESPACE/NAME`. */
	readonly image: string;
}

/** Whether an image is read or written. */
export type Use = 'read' | 'write';

/** The name of the image that `reference` means, which stands at `at`. Throws USAGE when nothing says it. */
export type NameImage = (reference: ImageReference, use: Use, at: string) => string;

const image = v.looseObject({ image: v.optional(v.string()), dockerImageReference: v.optional(v.string()) });

const schema = v.looseObject({
	kind: v.literal('ImageStream'),
	metadata: v.looseObject({ name: v.string(), namespace: v.optional(v.string()) }),
	spec: v.optional(
		v.looseObject({
			tags: v.optional(
				v.array(
					v.looseObject({
						name: v.string(),
						from: v.optional(v.looseObject({ kind: v.optional(v.string()), name: v.string() })),
					}),
				),
				[],
			),
		}),
		{},
	),
	status: v.optional(
		v.looseObject({
			dockerImageRepository: v.optional(v.string()),
			publicDockerImageRepository: v.optional(v.string()),
			tags: v.optional(v.array(v.looseObject({ tag: v.string(), items: v.optional(v.array(image), []) })), []),
		}),
		{},
	),
});

type ImageStream = v.InferOutput<typeof schema>;

/** Reads `NAME[:TAG]=IMAGE` of `--image-stream`. Throws USAGE. */
export function parseImageStream(text: string): GivenStream {
	const [, stream = '', given = ''] = /^(\*|[\w.-]+(?:\/[\w.-]+)?(?::[\w.-]+)?)=(\S+)$/.exec(text) ?? [];
	if (stream !== '') return { stream, image: given };
	throw new BuildError('USAGE', `--image-stream does not take ${JSON.stringify(redact(text).slice(0, 100))}`, {
		hint: "Give NAME[:TAG]=IMAGE, such as nodejs:20=quay.io/sclorg/nodejs-20-c9s, or '*=REGISTRY' for all streams.",
	});
}

/** How images are named: what was `given` counts before the ImageStreams among `objects`. `home` is the namespace of the BuildConfig. */
export function nameImages(
	given: readonly GivenStream[],
	objects: readonly YamlObject[],
	home: string | undefined,
): NameImage {
	return (reference, use, at) => {
		if (reference.kind === 'DockerImage') return reference.name;
		const namespace = reference.namespace ?? home;
		const { name, mark, tag } = splitStream(reference);
		const found =
			ofGiven(given, { namespace, name, mark, tag }) ?? ofObjects(objects, { namespace, name, tag, mark, use });
		if (found !== undefined) return found;
		const what = `the ${reference.kind} ${redact(`${namespace === undefined ? '' : `${namespace}/`}${name}${mark}${tag}`)}`;
		throw new BuildError('USAGE', `${at}: nothing says which image ${what} is`, {
			hint:
				`Give --image-stream ${redact(name)}${mark}${redact(tag)}=IMAGE, --image-stream '*=REGISTRY', or the ImageStream in a file with ` +
				'--objects FILE.',
		});
	};
}

interface Stream {
	readonly namespace: string | undefined;
	readonly name: string;
	readonly mark: '@' | ':';
	readonly tag: string;
}

function splitStream({ kind, name }: ImageReference): Omit<Stream, 'namespace'> {
	const mark = kind === 'ImageStreamImage' ? '@' : ':';
	const at = name.indexOf(mark);
	return at === -1
		? { name, mark: ':', tag: 'latest' }
		: { name: name.slice(0, at), mark, tag: name.slice(at + 1) || 'latest' };
}

function ofGiven(given: readonly GivenStream[], { namespace, name, mark, tag }: Stream): string | undefined {
	const names = namespace === undefined ? [name] : [`${namespace}/${name}`, name];
	const imageOf = (stream: string) => given.find((each) => each.stream === stream)?.image;
	for (const each of names) {
		const whole = imageOf(`${each}${mark}${tag}`);
		if (whole !== undefined) return whole;
	}
	for (const each of names) {
		const repository = imageOf(each);
		if (repository !== undefined) return `${repository}${mark}${tag}`;
	}
	const registry = imageOf('*');
	return registry && [registry, ...(namespace === undefined ? [] : [namespace]), `${name}${mark}${tag}`].join('/');
}

function ofObjects(objects: readonly YamlObject[], wanted: Stream & { readonly use: Use }): string | undefined {
	for (const { value } of objects) {
		const parsed = v.safeParse(schema, value);
		if (!parsed.success) continue;
		const { metadata } = parsed.output;
		const isOther = wanted.namespace !== undefined && (metadata.namespace ?? wanted.namespace) !== wanted.namespace;
		if (metadata.name !== wanted.name || isOther) continue;
		return wanted.use === 'write' ? writtenTo(parsed.output, wanted) : readFrom(parsed.output, wanted);
	}
	return undefined;
}

function writtenTo({ status }: ImageStream, { mark, tag }: Stream): string | undefined {
	const repository = status.publicDockerImageRepository ?? status.dockerImageRepository;
	return repository && `${repository}${mark}${tag}`;
}

function readFrom({ spec, status }: ImageStream, { mark, tag }: Stream): string | undefined {
	if (mark === '@') {
		return status.tags.flatMap(({ items }) => items).find((each) => each.image === tag)?.dockerImageReference;
	}
	const [newest] = status.tags.find((each) => each.tag === tag)?.items ?? [];
	const from = spec.tags.find((each) => each.name === tag)?.from;
	return newest?.dockerImageReference ?? (from?.kind === 'DockerImage' ? from.name : undefined);
}

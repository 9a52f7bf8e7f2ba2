import * as v from 'valibot';
import { BuildError } from '../errors.js';
import { isLocalAddress } from '../http/address.js';
import { parseJson } from '../json.js';
import { type EnvironmentVariable, readImageEnvironment } from './environment.js';
import { withoutCredentials } from './labels.js';
import { parseImageScriptsUrl } from './scripts.js';

/** The label with all that `rebuild` needs, in JSON. */
export const REBUILD_LABEL = 'io.s2oci.build';

const BUILD = 'io.openshift.s2i.build';
const text = v.pipe(v.string(), v.nonEmpty());
const flag = v.optional(v.boolean(), false);
const names = v.optional(v.array(text), []);
const artifact = v.object({ source: text, destination: v.string() });
const schema = v.object({
	/** Location of the builder image, as the command line takes it. */
	builder: text,
	/** Location of the source, without credentials. */
	source: text,
	/** Full commit id: the same source is built again, not the tip of its branch. */
	commit: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{40,64}$/))),
	contextDir: v.optional(text),
	copy: flag,
	keepSymlinks: flag,
	ignoreSubmodules: flag,
	exclude: v.optional(v.string()),
	/** `-e` and `-E`. Their names are stored; their values are what the image's ENV says. */
	environment: names,
	/** `--label`. Their names are stored; their values are what the image's labels say. */
	labels: names,
	scriptsUrl: v.optional(text),
	destination: v.optional(text),
	assembleUser: v.optional(text),
	applicationName: v.optional(text),
	description: v.optional(text),
	runtime: v.optional(v.object({ image: text, artifacts: v.optional(v.array(artifact), []), user: v.optional(text) })),
});

type Written = v.InferOutput<typeof schema>;

/**
 * What a build was told, as far as it makes the image: never secrets, `--build-env`, nor what belongs to one host (injections,
 * volumes, limits). What is absent was not said.
 */
export type RebuildInputs = Readonly<Omit<Written, 'environment' | 'labels'>> &
	Readonly<Record<'environment' | 'labels', readonly EnvironmentVariable[]>>;

/** `inputs` as the value of {@link REBUILD_LABEL}: compact, equal for equal inputs, without values of variables, and URLs without credentials. */
export function encodeRebuild(inputs: RebuildInputs): string {
	const { scriptsUrl, environment, labels } = inputs;
	const written = {
		...inputs,
		source: withoutCredentials(inputs.source),
		scriptsUrl: scriptsUrl === undefined ? undefined : withoutCredentials(scriptsUrl),
		environment: namesOf(environment),
		labels: namesOf(labels),
	};
	return JSON.stringify(written, (_key, value: unknown) => (isUnset(value) ? undefined : value));
}

/**
 * What made the image `image`, so called in messages, with these `labels` and this `env` (`NAME=VALUE`). Without our label S2I's own are read: build image, source
 * location, context directory, commit, name and description. Their scripts URL is not: it is the builder's as a rule, and taken for
 * `--scripts-url` it would hide scripts of the source. Throws IMAGE_INVALID when neither tells how the image was made.
 */
export function decodeRebuild(
	labels: Readonly<Record<string, string>>,
	env: readonly string[] | undefined,
	image: string,
): RebuildInputs {
	const written = labels[REBUILD_LABEL];
	const inputs = written === undefined ? fromS2i(labels) : readJson(written);
	const result = v.safeParse(schema, inputs);
	if (!result.success) throw rebuildInvalid(image, written === undefined, v.getDotPath(result.issues[0]));
	const { output } = result;
	const values = readImageEnvironment(env);
	return {
		...output,
		environment: values.filter(({ name }) => output.environment.includes(name)),
		labels: Object.entries(labels).flatMap(([name, value]) => (output.labels.includes(name) ? [{ name, value }] : [])),
	};
}

/**
 * Throws IMAGE_INVALID when `inputs` of `image`, which anybody may have written, would have this machine ask an address that only it should use, such as
 * its cloud's for credentials: for scripts the rules of {@link parseImageScriptsUrl} count. `source` says whether its source counts.
 */
export function refuseLocalAddresses(
	inputs: Pick<RebuildInputs, 'builder' | 'runtime' | 'scriptsUrl' | 'source'>,
	source: boolean,
	image: string,
): void {
	const { builder, runtime, scriptsUrl = '' } = inputs;
	if (/^https?:/i.test(scriptsUrl)) parseImageScriptsUrl(scriptsUrl, `${REBUILD_LABEL} of ${image}`);
	// What has neither a dot nor a port is no host, but a name at Docker Hub.
	const hosts = [builder, runtime?.image ?? ''].map((name) => /^(?:docker:\/\/)?([^/]*[.:][^/]*)\//.exec(name)?.[1]);
	const images = hosts.map((host) => `https://${host ?? ''}`);
	for (const place of [...images, ...(source ? [inputs.source] : [])]) {
		const url = URL.canParse(place) ? new URL(place) : undefined;
		if (url === undefined || !isLocalAddress(url)) continue;
		const message = `${image} says that it was made from ${url.host}, an address that only this machine should use`;
		throw new BuildError('IMAGE_INVALID', message, {
			hint: 'Do not build it again, if you do not know who made the image.',
		});
	}
}

function fromS2i(labels: Readonly<Record<string, string>>): unknown {
	const commit = labels[`${BUILD}.commit.id`];
	const described = {
		builder: labels[`${BUILD}.image`],
		source: labels[`${BUILD}.source-location`],
		commit: commit === '' ? undefined : commit,
		contextDir: labels[`${BUILD}.source-context-dir`],
		applicationName: labels['io.k8s.display-name'],
		description: labels['io.k8s.description'],
	};
	return Object.fromEntries(Object.entries(described).filter(([, value]) => value !== undefined && value !== ''));
}

function namesOf(variables: readonly EnvironmentVariable[]): readonly string[] {
	return [...new Set(variables.map(({ name }) => name))].sort();
}

function isUnset(value: unknown): boolean {
	return value === undefined || value === false || (Array.isArray(value) && value.length === 0);
}

function readJson(written: string): unknown {
	try {
		return parseJson(written);
	} catch {
		return undefined;
	}
}

function rebuildInvalid(image: string, isForeign: boolean, path: string | null): BuildError {
	const at = path === null ? '' : ` (${path})`;
	return isForeign
		? new BuildError('IMAGE_INVALID', `${image} does not say how it was built${at}`, {
				hint: `Only images made by S2I can be built again: they have the labels ${BUILD}.image and ${BUILD}.source-location.`,
			})
		: new BuildError('IMAGE_INVALID', `the label ${REBUILD_LABEL} of ${image} is damaged${at}`, {
				hint: 'Build the image from its source again, with s2oci build.',
			});
}

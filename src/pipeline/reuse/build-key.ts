import { type Digest, digestOf } from '../../oci/digest.js';
import { formatPlatform } from '../../oci/platform.js';
import { type EnvironmentVariable, mergeEnvironment } from '../../s2i/environment.js';
import { VERSION } from '../../version.js';
import type { BuildRequest } from '../request.js';

/** What a build is made from besides its request: all of it is read from elsewhere. */
export interface KeyInputs {
	/** Manifest digests. */
	readonly builder: Digest;
	readonly runtime: Digest | undefined;
	/** Of what the fetched source holds. */
	readonly source: string;
	/** Manifest digests of the images that more of the source is copied from; undefined without any. */
	readonly sourceImages?: readonly Digest[] | undefined;
	/** `-e` and `-E`. */
	readonly environment: readonly EnvironmentVariable[];
	/** Scripts of the host, by their names. */
	readonly scripts: Readonly<Record<string, Digest>>;
	/** Values of secrets, by their ids. */
	readonly secrets: Readonly<Record<string, Digest>>;
	/** The environment's SOURCE_DATE_EPOCH. */
	readonly sourceDateEpoch: string | undefined;
}

/** What has changed in how an image is made, where the version of the program does not say it. */
const FORMAT = 1;
/** How much a script prints, by S2I. */
const LOGLEVEL = 'BUILD_LOGLEVEL';

/**
 * Names all that makes the image of a build, as far as it is known before anything runs: two builds with one key make the same image, but
 * for times, for what the source's commit is called, and for what assemble fetches from elsewhere. Of the request everything counts that is not taken out here: where images and artifacts are looked for and go,
 * what assemble may use, and what the source is called, since its content counts. It is in the image, so it says nothing of the host.
 */
export function buildKey(request: BuildRequest, inputs: KeyInputs): Digest {
	const { scripts, assemble, runtime, image, output, host } = request;
	const { environment, ...digests } = inputs;
	const { buildEnvironment, limits } = assemble;
	const parts = {
		...{ format: FORMAT, version: VERSION, platform: formatPlatform(host.platform), scripts },
		inputs: { ...digests, environment: unordered(environment) },
		assemble: {
			...without(assemble, 'assembleTimeout', 'secrets', 'injections', 'files', 'volumes'),
			buildEnvironment: unordered(buildEnvironment.filter(({ name }) => name !== LOGLEVEL)),
			// What assemble may use decides whether it succeeds, not what it makes.
			limits: { network: limits.network, addHosts: limits.addHosts },
		},
		runtime: runtime && without(runtime, 'image', 'pullPolicy'),
		image: {
			...without(image, 'tagName', 'applicationName'),
			labels: unordered(image.labels),
			name: image.applicationName ?? (image.tagName && repositoryOf(image.tagName)),
		},
		sourcePaths: request.source.images?.map(({ paths }) => paths),
		timestamp: output.timestamp,
		// An image that passed another test, or none, is built again.
		beforePush: output.beforePush,
	};
	return digestOf(Buffer.from(canonical(parts)));
}

/**
 * `key`, and how the build is to run. The image is the same in every sandbox and under every limit, so its own key says nothing of them; but
 * whoever asks for another one wants to see assemble run in it. For the store only.
 */
export function runKey(key: Digest, { host, assemble }: BuildRequest): Digest {
	const { isolation, userns, rootfs } = host;
	const { limits, assembleTimeout, buildEnvironment } = assemble;
	const loglevel = buildEnvironment.findLast(({ name }) => name === LOGLEVEL)?.value;
	return digestOf(Buffer.from(canonical({ key, isolation, userns, rootfs, limits, assembleTimeout, loglevel })));
}

/** Whether a key says something of values that are to be in no image: short ones could be guessed with it. */
export function isPrivate({ assemble }: BuildRequest): boolean {
	const { buildEnvironment, secrets } = assemble;
	return secrets.length > 0 || buildEnvironment.some(({ name }) => name !== LOGLEVEL);
}

/** A tag is where an image goes, a repository is what it is. */
function repositoryOf(name: string): string {
	return name.replace(/(?:@[^/]*|:[^/]*)$/, '');
}

/** The last value of each name counts, and their order does not. */
function unordered(variables: readonly EnvironmentVariable[]): readonly EnvironmentVariable[] {
	return [...mergeEnvironment(variables)].sort(byName);
}

function without<T extends object, K extends keyof T>(value: T, ...names: readonly K[]): Omit<T, K> {
	return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name as K))) as Omit<T, K>;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
	return a.name < b.name ? -1 : Number(a.name > b.name);
}

/** JSON in which the fields of an object are in order. */
function canonical(value: unknown): string {
	return JSON.stringify(value, (_name, each: unknown) =>
		each !== null && typeof each === 'object' && !Array.isArray(each)
			? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
			: each,
	);
}

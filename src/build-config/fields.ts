import type { Path, YamlObject } from './yaml-objects.js';

/** Fields that a build follows, `*` being any index or key; what is below them is theirs. */
const FOLLOWED: readonly string[] = [
	...['apiVersion', 'kind', 'metadata.name', 'metadata.namespace'],
	...['spec.strategy.type', 'spec.source.type', 'spec.source.contextDir', 'spec.source.binary.asFile'],
	...['kind', 'name', 'namespace'].flatMap((name) => [
		`spec.strategy.sourceStrategy.from.${name}`,
		`spec.strategy.sourceStrategy.runtimeImage.${name}`,
		`spec.source.images.*.from.${name}`,
		`spec.output.to.${name}`,
	]),
	...['scripts', 'incremental', 'forcePull'].map((name) => `spec.strategy.sourceStrategy.${name}`),
	...['name', 'value', 'valueFrom.secretKeyRef', 'valueFrom.configMapKeyRef'].map(
		(name) => `spec.strategy.sourceStrategy.env.*.${name}`,
	),
	...['runtimeArtifacts.*.sourcePath', 'runtimeArtifacts.*.destinationDir'].map(
		(name) => `spec.strategy.sourceStrategy.${name}`,
	),
	...['name', 'source.type', 'mounts.*.destinationPath'].map(
		(name) => `spec.strategy.sourceStrategy.volumes.*.${name}`,
	),
	...['secret.secretName', 'configMap.name', 'secret.optional', 'configMap.optional'].map(
		(name) => `spec.strategy.sourceStrategy.volumes.*.source.${name}`,
	),
	...['secret', 'configMap'].flatMap((kind) =>
		['key', 'path'].map((name) => `spec.strategy.sourceStrategy.volumes.*.source.${kind}.items.*.${name}`),
	),
	...['uri', 'ref', 'httpProxy', 'httpsProxy', 'noProxy'].map((name) => `spec.source.git.${name}`),
	...['paths.*.sourcePath', 'paths.*.destinationDir'].map((name) => `spec.source.images.*.${name}`),
	...['secrets.*.secret.name', 'secrets.*.destinationDir'].map((name) => `spec.source.${name}`),
	...['configMaps.*.configMap.name', 'configMaps.*.destinationDir'].map((name) => `spec.source.${name}`),
	...['spec.output.imageLabels.*.name', 'spec.output.imageLabels.*.value'],
	...['spec.postCommit.script', 'spec.postCommit.command', 'spec.postCommit.args'],
	...['spec.completionDeadlineSeconds', 'spec.resources.limits.memory', 'spec.resources.limits.cpu'],
];

const LOGIN = 'done by podman login, docker login or --dockercfg-path';
const OWN_MODE = 'ignored: only the user of assemble can read the files';
const ENGINE = 'ignored: it is for whatever runs s2oci';

/** What becomes of every other field; of two that fit, the longer counts. */
const OTHERS: readonly (readonly [field: string, fate: string])[] = [
	['metadata', 'ignored: of the metadata a build uses the name'],
	['status', 'ignored: it tells of earlier builds'],
	['spec.runPolicy', 'ignored: each run of s2oci is a build of its own, also beside others'],
	['spec.triggers', 'ignored: whatever runs s2oci decides when'],
	['spec.serviceAccount', ENGINE],
	['spec.nodeSelector', ENGINE],
	['spec.resources.requests', 'ignored: what runs s2oci gives it what it needs'],
	['spec.resources.limits', 'ignored: only memory and cpu are limited, as by --memory and --cpus'],
	['spec.successfulBuildsHistoryLimit', ENGINE],
	['spec.failedBuildsHistoryLimit', ENGINE],
	['spec.mountTrustedCA', 'done by --ca-bundle'],
	['spec.revision', 'ignored: --ref names another commit'],
	['spec.source.sourceSecret', "done by git's own credentials: ssh-agent, a credential helper, .netrc"],
	['spec.source.dockerfile', 'ignored: it is for the Docker strategy'],
	['spec.source.images.*.pullSecret', LOGIN],
	['spec.source.images.*.as', 'ignored: it is for the Docker strategy'],
	['spec.strategy.sourceStrategy.pullSecret', LOGIN],
	['spec.output.pushSecret', LOGIN],
	['spec.strategy.sourceStrategy.env.*.valueFrom', 'not supported: this variable is left out'],
	['spec.strategy.sourceStrategy.volumes.*.source', 'not supported: only secret and configMap are mounted'],
	['spec.strategy.sourceStrategy.volumes.*.source.secret.defaultMode', OWN_MODE],
	['spec.strategy.sourceStrategy.volumes.*.source.configMap.defaultMode', OWN_MODE],
];

/** A field that no build follows. */
export interface OtherField {
	readonly path: Path;
	/** `spec.triggers`; the highest field that has this fate. */
	readonly field: string;
	/** What becomes of it. */
	readonly fate: string;
	/** `FILE:LINE:COLUMN`. */
	readonly at: string;
}

/** Every field of `object` that a build does not follow, once each, with what becomes of it. */
export function otherFields(object: YamlObject): readonly OtherField[] {
	const found = new Map<string, OtherField>();
	for (const leaf of leavesOf(object.value, [])) {
		if (FOLLOWED.some((pattern) => depthOf(pattern, leaf) > 0 || leadsTo(leaf, pattern))) continue;
		const [depth, fate] = fateOf(leaf);
		const path = leaf.slice(0, depth);
		const field = formatPath(path);
		if (!found.has(field)) found.set(field, { path, field, fate, at: object.at(path) });
	}
	return [...found.values()];
}

/** `spec.source.images[0].from`. */
export function formatPath(path: Path): string {
	return path
		.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
		.join('')
		.replace(/^\./, '');
}

function fateOf(leaf: Path): readonly [depth: number, fate: string] {
	const fits = OTHERS.map(([pattern, fate]) => [depthOf(pattern, leaf), fate] as const);
	const [deepest] = fits.filter(([depth]) => depth > 0).sort(([a], [b]) => b - a);
	return deepest ?? [leaf.length, 'ignored: it is unknown'];
}

/** How many steps of `path` are `pattern`; 0 when it begins otherwise. */
function depthOf(pattern: string, path: Path): number {
	const steps = pattern.split('.');
	return steps.every((step, index) => index < path.length && (step === '*' || step === String(path[index])))
		? steps.length
		: 0;
}

/** Whether what is at `path`, being empty, lacks what `pattern` says. */
function leadsTo(path: Path, pattern: string): boolean {
	const steps = pattern.split('.').slice(0, path.length);
	return steps.length === path.length && depthOf(steps.join('.'), path) > 0;
}

function leavesOf(value: unknown, path: Path): readonly Path[] {
	if (typeof value !== 'object' || value === null) return [path];
	const entries: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
		? [...value.entries()]
		: Object.entries(value);
	return entries.length === 0 ? [path] : entries.flatMap(([key, each]) => leavesOf(each, [...path, key]));
}

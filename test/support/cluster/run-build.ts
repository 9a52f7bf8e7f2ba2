import { execFileSync } from 'node:child_process';
import { emptyDirectory, type Node, type SecurityContext } from './container.js';
import { type Param, runTask, type Step, type TaskEnded, type TaskSpec } from './run-task.js';
import type { ParamValue } from './variables.js';
import type { Objects, Volume, VolumeSource } from './volumes.js';

/** A ClusterBuildStrategy of shipwright.io/v1beta1. */
export interface Strategy {
	readonly metadata: { readonly name: string };
	readonly spec: {
		readonly parameters?: readonly {
			readonly name: string;
			readonly type?: string;
			readonly default?: string;
			readonly defaults?: readonly string[];
		}[];
		readonly volumes?: readonly (Volume & { readonly overridable?: boolean })[];
		readonly securityContext?: SecurityContext;
		readonly steps: readonly Step[];
	};
}

interface KeyReference {
	readonly name: string;
	readonly key: string;
	readonly format?: string;
}

interface Value {
	readonly value?: string;
	readonly secretValue?: KeyReference;
	readonly configMapValue?: KeyReference;
}

/** What a Build says, or a BuildRun with one in it. */
export interface BuildSpec {
	readonly source?: {
		readonly type: string;
		readonly git?: { readonly url: string; readonly revision?: string };
		readonly contextDir?: string;
	};
	readonly strategy: { readonly kind: string; readonly name: string };
	readonly paramValues?: readonly (Value & { readonly name: string; readonly values?: readonly Value[] })[];
	readonly volumes?: readonly Volume[];
	readonly output: { readonly image: string; readonly insecure?: boolean; readonly pushSecret?: string };
}

/** What is in the namespace of a Build. */
export interface Namespace {
	readonly objects?: Objects;
	/** The files of a local source. */
	readonly source?: string;
	/** Of the pod. */
	readonly security?: SecurityContext;
}

const ROOT = '/workspace/source';
const RESULTS = ['shp-image-digest', 'shp-image-size', 'shp-error-reason', 'shp-error-message'];

/**
 * Runs a Build as Shipwright does, which makes a TaskRun of it (docs/buildstrategies.md and docs/build.md): the secret for the push is one of the
 * service account. Throws for a Build that is not registered.
 */
export async function runBuild(
	node: Node,
	strategy: Strategy,
	build: BuildSpec,
	namespace: Namespace = {},
): Promise<TaskEnded> {
	const { metadata } = strategy;
	if (build.strategy.name !== metadata.name) throw new Error(`there is no strategy ${build.strategy.name}`);
	const { objects = {}, security = {} } = namespace;
	const { pushSecret } = build.output;
	const system = systemParams(build);
	return runTask(node, {
		task: taskOf(strategy, build, system),
		params: [...system, ...(build.paramValues ?? []).map((param) => paramOf(param, objects))],
		workspaces: { source: fetchSource(node, build, namespace) },
		objects,
		security,
		...(pushSecret !== undefined && { dockerConfig: objects[pushSecret]?.['.dockerconfigjson'] ?? '' }),
	});
}

function systemParams({ source, output }: BuildSpec): readonly Param[] {
	return [
		{ name: 'shp-source-root', value: ROOT },
		{ name: 'shp-source-context', value: source?.contextDir === undefined ? ROOT : `${ROOT}/${source.contextDir}` },
		{ name: 'shp-output-image', value: output.image },
		{ name: 'shp-output-insecure', value: String(output.insecure ?? false) },
	];
}

function taskOf({ spec }: Strategy, build: BuildSpec, system: readonly Param[]): TaskSpec {
	const parameters = (spec.parameters ?? []).map(({ name, type = 'string', default: text, defaults }) => {
		const usual = text ?? defaults;
		return { name, type, ...(usual !== undefined && { default: usual }) };
	});
	return {
		params: [...system.map(({ name }) => ({ name })), ...parameters],
		results: RESULTS.map((name) => ({ name })),
		workspaces: [{ name: 'source' }],
		volumes: volumesOf(spec.volumes ?? [], build.volumes ?? []),
		steps: spec.steps.map((step) => ({
			...step,
			securityContext: { ...spec.securityContext, ...step.securityContext },
		})),
	};
}

function volumesOf(volumes: NonNullable<Strategy['spec']['volumes']>, own: readonly Volume[]): readonly Volume[] {
	const refused = own.find(({ name }) => volumes.find((each) => each.name === name)?.overridable !== true);
	if (refused !== undefined) throw new Error(`the volume ${refused.name} cannot be overridden`);
	return volumes.map((volume): Volume => own.find(({ name }) => name === volume.name) ?? volume);
}

function paramOf(param: NonNullable<BuildSpec['paramValues']>[number], objects: Objects): Param {
	const value: ParamValue = param.values?.map((each) => textOf(each, objects)) ?? textOf(param, objects);
	return { name: param.name, value };
}

function textOf({ value = '', secretValue, configMapValue }: Value, objects: Objects): string {
	const reference = secretValue ?? configMapValue;
	if (reference === undefined) return value;
	const { name, key, format } = reference;
	const text = objects[name]?.[key];
	if (text === undefined) throw new Error(`${name} has no key ${key}`);
	// As a function, since `$` means something in a replacement.
	return format?.replace(/\$\{(?:SECRET|CONFIGMAP)_VALUE\}/, () => text) ?? text;
}

function fetchSource(node: Node, { source }: BuildSpec, namespace: Namespace): VolumeSource | string {
	if (source?.git === undefined) return namespace.source ?? { emptyDir: {} };
	const directory = emptyDirectory(node.directory);
	const { url, revision } = source.git;
	const branch = revision === undefined ? [] : ['--branch', revision];
	execFileSync('git', ['clone', '--quiet', '--depth', '1', ...branch, url, directory]);
	return directory;
}

import { SHIPWRIGHT, TEKTON } from '../engine-names.js';
import type { EngineBuild, EngineVariable } from './engine-build.js';

/** A Build of shipwright.io/v1beta1 with the ClusterBuildStrategy of s2oci. */
export function toShipwright(build: EngineBuild): object {
	const { builder, environment, scriptsUrl, pullPolicy, incremental } = build;
	return {
		apiVersion: 'shipwright.io/v1beta1',
		kind: 'Build',
		metadata: metadataOf(build),
		spec: {
			source: sourceOf(build),
			strategy: { kind: 'ClusterBuildStrategy', name: SHIPWRIGHT.strategy },
			paramValues: [
				{ name: SHIPWRIGHT.builder, value: builder },
				...(environment.length === 0 ? [] : [{ name: SHIPWRIGHT.environment, values: environment.map(paramValue) }]),
				...given(SHIPWRIGHT.scriptsUrl, scriptsUrl),
				...given(SHIPWRIGHT.pullPolicy, pullPolicy),
				...given(SHIPWRIGHT.incremental, incremental ? 'true' : undefined),
				...options(build).map((value) => ({ name: SHIPWRIGHT.options, values: [{ value }] })),
			],
			output: {
				image: build.image,
				...(build.pushSecret !== undefined && { pushSecret: build.pushSecret }),
				...(build.labels.length > 0 && {
					labels: Object.fromEntries(build.labels.map(({ name, value }) => [name, value])),
				}),
			},
			...(build.deadline !== undefined && { timeout: `${build.deadline}s` }),
		},
	};
}

/** A TaskRun of tekton.dev/v1 with the Task of s2oci. */
export function toTekton(build: EngineBuild): object {
	const { git, limits } = build;
	const params = [
		...given(TEKTON.image, build.image),
		...given(TEKTON.builder, build.builder),
		...given(TEKTON.source, git?.url),
		...given(TEKTON.ref, git?.ref),
		...given(TEKTON.contextDir, build.contextDir),
		...givenList(TEKTON.environment, assignments(build)),
		...givenList(TEKTON.labels, build.labels.map(assignment)),
		...given(TEKTON.scriptsUrl, build.scriptsUrl),
		...given(TEKTON.pullPolicy, build.pullPolicy),
		...given(TEKTON.incremental, build.incremental ? 'true' : undefined),
		...givenList(TEKTON.options, options(build)),
	];
	const { name, ...metadata } = metadataOf(build);
	return {
		apiVersion: 'tekton.dev/v1',
		kind: 'TaskRun',
		metadata: { generateName: `${name}-`, ...metadata },
		spec: {
			taskRef: { name: TEKTON.task },
			params,
			...(git === undefined && { workspaces: [{ name: TEKTON.sourceWorkspace, emptyDir: {} }] }),
			...(build.deadline !== undefined && { timeout: `${build.deadline}s` }),
			...(Object.keys(limits).length > 0 && { computeResources: { limits } }),
		},
	};
}

/** What of s2oci build has no parameter of its own. */
function options({ beforePush }: EngineBuild): readonly string[] {
	return beforePush === undefined ? [] : [`--before-push=${beforePush}`];
}

/** `NAME=VALUE` of the variables whose values are known. */
export function assignments({ environment }: EngineBuild): readonly string[] {
	return environment.flatMap(({ name, value }) => (value === undefined ? [] : [`${name}=${value}`]));
}

/** `NAME=VALUE`. */
export function assignment({ name, value }: { readonly name: string; readonly value: string }): string {
	return `${name}=${value}`;
}

function metadataOf({ name, namespace }: EngineBuild): { readonly name: string; readonly namespace?: string } {
	return { name, ...(namespace !== undefined && { namespace }) };
}

function sourceOf({ git, contextDir, cloneSecret, name }: EngineBuild): object {
	const context = contextDir === undefined ? {} : { contextDir };
	if (git === undefined) return { type: 'Local', local: { name: `${name}-source` }, ...context };
	const more = {
		...(git.ref !== undefined && { revision: git.ref }),
		...(cloneSecret !== undefined && { cloneSecret }),
	};
	return { type: 'Git', git: { url: git.url, ...more }, ...context };
}

/** Shipwright puts the value in the place of `${SECRET_VALUE}` (docs/build.md, "Defining ParamValues"). */
function paramValue({ name, value, reference }: EngineVariable): object {
	if (reference === undefined) return { value: `${name}=${value ?? ''}` };
	const { kind, key } = reference;
	const from = { name: reference.name, key };
	return kind === 'Secret'
		? { secretValue: { ...from, format: `${name}=\${SECRET_VALUE}` } }
		: { configMapValue: { ...from, format: `${name}=\${CONFIGMAP_VALUE}` } };
}

function given(name: string, value: string | undefined): readonly object[] {
	return value === undefined ? [] : [{ name, value }];
}

function givenList(name: string, value: readonly string[]): readonly object[] {
	return value.length === 0 ? [] : [{ name, value }];
}

import { BuildError } from '../errors.js';
import type { NameImage } from './image-streams.js';
import { valuesOf } from './objects.js';
import type { ReadBuildConfig } from './read-build-config.js';
import { referenceOf, type ValueReference } from './values.js';
import type { YamlObject } from './yaml-objects.js';

/** A variable of a build for an engine. */
export interface EngineVariable {
	readonly name: string;
	/** Undefined for what only the cluster knows. */
	readonly value: string | undefined;
	/** Where the cluster keeps it. */
	readonly reference: ValueReference | undefined;
	readonly index: number;
}

/** What every engine is told of a build. */
export interface EngineBuild {
	readonly name: string;
	readonly namespace: string | undefined;
	readonly builder: string;
	readonly image: string;
	/** Undefined for a binary source. */
	readonly git: { readonly url: string; readonly ref: string | undefined } | undefined;
	readonly contextDir: string | undefined;
	readonly environment: readonly EngineVariable[];
	readonly labels: readonly { readonly name: string; readonly value: string }[];
	readonly scriptsUrl: string | undefined;
	readonly incremental: boolean;
	readonly pullPolicy: 'always' | undefined;
	/** Of the forms of postCommit, the script alone. */
	readonly beforePush: string | undefined;
	/** In seconds. */
	readonly deadline: number | undefined;
	readonly limits: { readonly memory?: string | number | undefined; readonly cpu?: string | number | undefined };
	readonly cloneSecret: string | undefined;
	readonly pushSecret: string | undefined;
}

/** What `config` says that engines have words for. Throws USAGE for an image that nobody knows, or none. */
export function readEngineBuild(
	config: ReadBuildConfig,
	{ objects, nameImage }: { readonly objects: readonly YamlObject[]; readonly nameImage: NameImage },
): EngineBuild {
	const { metadata, spec } = config.value;
	const { source, strategy, output, postCommit } = spec;
	const { from, scripts, incremental, forcePull } = strategy.sourceStrategy;
	if (output.to === undefined) {
		throw new BuildError('USAGE', `${config.at(['spec', 'output'])}: spec.output.to is missing`, {
			hint: 'An engine has to know where the image goes: name it in the BuildConfig.',
		});
	}
	return {
		name: metadata.name,
		namespace: metadata.namespace,
		builder: nameImage(from, 'read', config.at(['spec', 'strategy', 'sourceStrategy', 'from'])),
		image: nameImage(output.to, 'write', config.at(['spec', 'output', 'to'])),
		git: source.git && { url: source.git.uri, ref: orUndefined(source.git.ref) },
		contextDir: orUndefined(source.contextDir),
		environment: readEnvironment(config, objects),
		labels: output.imageLabels.map(({ name, value }) => ({ name, value })),
		scriptsUrl: orUndefined(scripts),
		incremental,
		pullPolicy: forcePull ? 'always' : undefined,
		beforePush: postCommit.args.length === 0 ? orUndefined(postCommit.script) : undefined,
		deadline: spec.completionDeadlineSeconds,
		limits: spec.resources.limits,
		cloneSecret: source.sourceSecret?.name,
		pushSecret: output.pushSecret?.name,
	};
}

/** Values of Secrets stay where they are. */
function readEnvironment(config: ReadBuildConfig, objects: readonly YamlObject[]): readonly EngineVariable[] {
	return config.value.spec.strategy.sourceStrategy.env.flatMap((variable, index): readonly EngineVariable[] => {
		const { name, valueFrom, value = '' } = variable;
		const reference = referenceOf(variable);
		if (valueFrom === undefined) return [{ name, value, reference: undefined, index }];
		if (reference === undefined) return [];
		const isPublic = reference.kind === 'ConfigMap';
		const known = isPublic ? valuesOf(objects, 'ConfigMap', reference.name)?.get(reference.key) : undefined;
		return [{ name, value: known?.toString('utf8'), reference, index }];
	});
}

function orUndefined(text: string): string | undefined {
	return text === '' ? undefined : text;
}

import type { EngineBuild } from './engine-build.js';
import { formatPath } from './fields.js';
import type { ReadBuildConfig } from './read-build-config.js';
import type { Path } from './yaml-objects.js';

/** What a BuildConfig can be written for. */
export type Engine = 'shipwright' | 'tekton' | 'gitlab' | 'github';

/** A field that an engine has no counterpart for. */
export interface LeftField {
	readonly field: string;
	/** `FILE:LINE:COLUMN`. */
	readonly at: string;
	readonly why: string;
}

const STRATEGY = ['spec', 'strategy', 'sourceStrategy'] as const;
const SEVERAL_LINES = 'its value has several lines';
const MOUNT = 'mount it into the job, and give --inject or --secret';

/** Every field of `config` that `engine` is not told; what no build follows counts as well. */
export function leftFields(config: ReadBuildConfig, build: EngineBuild, engine: Engine): readonly LeftField[] {
	const isKubernetes = engine === 'shipwright' || engine === 'tekton';
	const carried = engine === 'shipwright' ? ['spec.source.sourceSecret', 'spec.output.pushSecret'] : [];
	const others = config.others.filter(({ field }) => !carried.includes(field) && !/^(?:metadata|status)$/.test(field));
	return [
		...missing(config, [
			...always(config, build),
			...variables(build, engine),
			[['spec', 'source', 'binary'], config.value.spec.source.binary !== undefined, binaryOf(engine)],
			[
				['spec', 'resources', 'limits'],
				engine !== 'tekton' && Object.keys(build.limits).length > 0,
				isKubernetes
					? 'give it to the step as stepResources, or s2oci as --memory and --cpus'
					: 'the runner has its own limits',
			],
		]),
		...others.map(({ field, at, fate }) => ({ field, at, why: fate })),
	];
}

type Line = readonly [path: Path, isThere: boolean, why: string];

function missing({ at }: ReadBuildConfig, lines: readonly Line[]): readonly LeftField[] {
	return lines.flatMap(([path, isThere, why]) => (isThere ? [{ field: formatPath(path), at: at(path), why }] : []));
}

/** What no engine is told. */
function always({ value }: ReadBuildConfig, { beforePush }: EngineBuild): readonly Line[] {
	const { source, strategy, postCommit } = value.spec;
	const { runtimeImage, runtimeArtifacts, volumes } = strategy.sourceStrategy;
	const hasArguments = postCommit.command.length + postCommit.args.length > 0;
	const proxies = ['httpProxy', 'httpsProxy', 'noProxy'] as const;
	return [
		[
			['spec', 'postCommit'],
			hasArguments && beforePush === undefined,
			'give --before-push a script that does the same',
		],
		[[...STRATEGY, 'runtimeImage'], runtimeImage !== undefined, 'give --runtime-image'],
		[[...STRATEGY, 'runtimeArtifacts'], runtimeArtifacts.length > 0, 'give --runtime-artifact'],
		[[...STRATEGY, 'volumes'], volumes.length > 0, MOUNT],
		[['spec', 'source', 'secrets'], source.secrets.length > 0, MOUNT],
		[['spec', 'source', 'configMaps'], source.configMaps.length > 0, 'put the files into the source'],
		[['spec', 'source', 'images'], source.images.length > 0, 'copy the files into the source in a step before'],
		...proxies.map(
			(name): Line => [
				['spec', 'source', 'git', name],
				source.git?.[name] !== undefined,
				'set it in the environment of the job',
			],
		),
	];
}

function variables({ environment, labels }: EngineBuild, engine: Engine): readonly Line[] {
	const isForge = engine === 'github' || engine === 'gitlab';
	const hasLines = (value = '') => isForge && /[\r\n]/.test(value);
	return [
		...environment.map(({ index, value, reference }): Line => {
			const path = [...STRATEGY, 'env', index];
			if (reference === undefined) return [path, hasLines(value), SEVERAL_LINES];
			const { kind, name, key, optional } = reference;
			if (engine === 'shipwright')
				return [path, optional, 'it is optional in the BuildConfig, and has to be there for Shipwright'];
			const why = hasLines(value)
				? SEVERAL_LINES
				: `it is the key ${key} of the ${kind} ${name}: add it from a secret of the engine`;
			return [path, value === undefined || hasLines(value), why];
		}),
		...labels.map(
			({ value }, index): Line => [['spec', 'output', 'imageLabels', index], hasLines(value), SEVERAL_LINES],
		),
	];
}

function binaryOf(engine: Engine): string {
	if (engine === 'tekton') return 'the workspace source holds it';
	return engine === 'shipwright' ? 'shp build upload sends it' : 'the checkout of the job is built';
}

import { posix } from 'node:path';
import { BuildError } from '../errors.js';
import { formatPath } from './fields.js';
import { type ValueKind, valuesOf } from './objects.js';
import type { ReadBuildConfig } from './read-build-config.js';
import type { Variable } from './schema.js';
import type { Path, YamlObject } from './yaml-objects.js';

/** A file that comes from a key of a Secret or ConfigMap. */
export interface ValueFile {
	/** Where it goes: absolute or relative, as the BuildConfig says. */
	readonly path: string;
	readonly content: Buffer;
}

/** A variable with its value. */
export interface NamedValue {
	readonly name: string;
	readonly value: string;
	/** Whether it comes from a Secret. */
	readonly isSecret: boolean;
}

/** Where a value of a variable is kept. */
export interface ValueReference {
	readonly kind: ValueKind;
	readonly name: string;
	readonly key: string;
	readonly optional: boolean;
}

const NAME = /^(?!\.{1,2}$)[-._a-zA-Z0-9]+$/;

/** Where the value of `variable` is kept; undefined when it is its own. */
export function referenceOf({ valueFrom }: Variable): ValueReference | undefined {
	const { secretKeyRef, configMapKeyRef } = valueFrom ?? {};
	if (secretKeyRef !== undefined) return { kind: 'Secret', ...secretKeyRef };
	return configMapKeyRef && { kind: 'ConfigMap', ...configMapKeyRef };
}

/**
 * The variables of `config` but those of the names `without`, with values from `objects`. Those that come from nowhere known are left out.
 * Throws USAGE for a value that is not there and not optional.
 */
export function readVariables(
	{ value, at }: ReadBuildConfig,
	objects: readonly YamlObject[],
	without: ReadonlySet<string>,
): readonly NamedValue[] {
	return value.spec.strategy.sourceStrategy.env.flatMap((variable, index): readonly NamedValue[] => {
		const { name, valueFrom } = variable;
		if (without.has(name)) return [];
		const reference = referenceOf(variable);
		if (reference === undefined) {
			return valueFrom === undefined ? [{ name, value: variable.value ?? '', isSecret: false }] : [];
		}
		const { kind, key, optional } = reference;
		const found = valuesOf(objects, kind, reference.name)?.get(key);
		if (found !== undefined) return [{ name, value: found.toString('utf8'), isSecret: kind === 'Secret' }];
		if (optional) return [];
		const place = at(['spec', 'strategy', 'sourceStrategy', 'env', index]);
		const message = `${place}: the variable ${name} is the key ${key} of the ${kind} ${reference.name}, which no file has`;
		throw new BuildError('USAGE', message, {
			hint: `${giveObject(kind, reference.name)}; or give --env ${name}=VALUE.`,
		});
	});
}

/** The files of `spec.source.secrets` and of the strategy's volumes: assemble sees them, the image has none of them. Throws USAGE. */
export function readShownFiles(config: ReadBuildConfig, objects: readonly YamlObject[]): readonly ValueFile[] {
	const { source, strategy } = config.value.spec;
	const secrets = source.secrets.flatMap(({ secret, destinationDir }, index) =>
		readFiles(config, objects, ['spec', 'source', 'secrets', index], {
			...{ kind: 'Secret', name: secret.name, directory: destinationDir },
		}),
	);
	const volumes = strategy.sourceStrategy.volumes.flatMap(({ source: from, mounts }, index) => {
		const kind: ValueKind = from.secret === undefined ? 'ConfigMap' : 'Secret';
		const name = from.secret?.secretName ?? from.configMap?.name;
		const { items, optional } = from.secret ?? from.configMap ?? {};
		const path: Path = ['spec', 'strategy', 'sourceStrategy', 'volumes', index];
		if (name === undefined) return [];
		return mounts.flatMap(({ destinationPath: directory }) =>
			readFiles(config, objects, path, { kind, name, directory, items, optional }),
		);
	});
	return [...secrets, ...volumes];
}

/** The files of `spec.source.configMaps`, by paths in the source: they may get into the image. Throws USAGE. */
export function readSourceFiles(config: ReadBuildConfig, objects: readonly YamlObject[]): readonly ValueFile[] {
	return config.value.spec.source.configMaps.flatMap(({ configMap, destinationDir }, index) => {
		const path: Path = ['spec', 'source', 'configMaps', index];
		const files = readFiles(config, objects, path, {
			kind: 'ConfigMap',
			name: configMap.name,
			directory: destinationDir,
		});
		return files.map((file) => ({ ...file, path: withinSource(file.path, config.at(path), formatPath(path)) }));
	});
}

interface Wanted {
	readonly kind: ValueKind;
	readonly name: string;
	readonly directory: string;
	readonly items?: readonly { readonly key: string; readonly path: string }[] | undefined;
	readonly optional?: boolean | undefined;
}

function readFiles(
	{ at }: ReadBuildConfig,
	objects: readonly YamlObject[],
	path: Path,
	{ kind, name, directory, items, optional = false }: Wanted,
): readonly ValueFile[] {
	const values = valuesOf(objects, kind, name);
	if (values === undefined && optional) return [];
	if (values === undefined) {
		throw new BuildError('USAGE', `${at(path)}: ${formatPath(path)} is the ${kind} ${name}, which no file has`, {
			hint: `${giveObject(kind, name)}.`,
		});
	}
	const wanted = items ?? [...values.keys()].map((key) => ({ key, path: key }));
	return wanted.map((item) => {
		const content = values.get(item.key);
		const isInside = item.path.split('/').every((part) => NAME.test(part));
		if (content !== undefined && isInside) return { path: posix.join(directory, item.path), content };
		const why = isInside ? 'is not there' : 'cannot be the name of a file';
		throw new BuildError('USAGE', `${at(path)}: the key ${JSON.stringify(item.key)} of the ${kind} ${name} ${why}`, {
			hint: 'Keys have letters, digits, dots, dashes and underscores.',
		});
	});
}

/** A relative path that does not lead out of the source. */
function withinSource(path: string, at: string, field: string): string {
	const clean = posix.normalize(path);
	if (!posix.isAbsolute(clean) && !/^\.\.(?:\/|$)/.test(clean)) return clean;
	throw new BuildError('USAGE', `${at}: the destinationDir of ${field} leads out of the source`, {
		hint: 'Give a directory below the source.',
	});
}

function giveObject(kind: ValueKind, name: string): string {
	return `Give it with --objects FILE, as \`oc get ${kind.toLowerCase()} ${name} -o yaml\` prints it`;
}

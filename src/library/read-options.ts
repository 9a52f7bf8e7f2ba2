import { type BuildArguments, buildArguments, readBuildRequest } from '../cli/build-request.js';
import { hostOptions } from '../cli/host-options.js';
import {
	type Given,
	isOption,
	type OptionSpec,
	type PositionalSpec,
	type Reading,
	readValues,
} from '../cli/options.js';
import { formatImageLocation } from '../content/location.js';
import { BuildError } from '../errors.js';
import { absolutePath } from '../host-path.js';
import type { Emit } from '../pipeline/events.js';
import type { BuildRequest, HostRequest } from '../pipeline/request.js';
import { type EnvironmentVariable, parseAssignment } from '../s2i/environment.js';
import type { BuildOptions, ImageName, RegistryOptions, Variables } from './options.js';

/** What a build is told, and the command line that would say the same. */
export interface ReadOptions {
	readonly args: BuildArguments;
	readonly request: BuildRequest;
}

/** `options` as a request, with the defaults of the command line. Throws USAGE, REFERENCE_INVALID. */
export function readOptions(options: BuildOptions, emit: Emit): ReadOptions {
	const { source, builder, targets = [] } = options;
	const selection = typeof source === 'string' ? { location: source } : source;
	const [tag, ...outputs] = targets.map(nameOf);
	const words = {
		...{ source: [selection.location], builder: [nameOf(builder)], tag: tag === undefined ? [] : [tag] },
		...{ output: outputs, 'scripts-url': options.scriptsUrl === undefined ? [] : [options.scriptsUrl] },
	};
	const reading: Reading = { env: options.env ?? process.env, program: 's2oci', emit };
	const args = withOptions(readValues(buildArguments, givenOf(words), reading), options, selection);
	return { args, request: readBuildRequest(args, reading) };
}

/** What `options` say of registries, with the defaults of the command line. Throws USAGE. */
export function readRegistryOptions(options: RegistryOptions, emit: Emit): Omit<HostRequest, 'store' | 'stdin'> {
	const env = options.env ?? process.env;
	const host = readValues(hostOptions, () => NOTHING, { env, program: 's2oci', emit });
	return { ...host, ...registriesOf(options), env };
}

const NOTHING: Given = { texts: [], on: false };

/** What is said in words: of the others the values are put in. */
function givenOf(words: Readonly<Record<string, readonly string[]>>): (spec: OptionSpec | PositionalSpec) => Given {
	return (spec) => ({ texts: words[isOption(spec) ? spec.long : spec.value] ?? [], on: false });
}

function withOptions(
	args: BuildArguments,
	options: BuildOptions,
	selection: Partial<BuildArguments['selection']>,
): BuildArguments {
	const { runtime } = options;
	const { environment = {}, buildEnvironment = {}, labels = {} } = options;
	const { store, assembleTimeout } = options;
	return {
		...args,
		...pick(options, ['pullPolicy']),
		selection: {
			...args.selection,
			...pick(selection, ['ref', 'contextDir', 'copy', 'keepSymlinks', 'ignoreSubmodules', 'exclude']),
		},
		variables: { ...args.variables, environment: variablesOf(environment, '--env') },
		inputs: {
			...args.inputs,
			buildEnvironment: variablesOf(buildEnvironment, '--build-env'),
			...pick(options, ['secrets']),
			...(options.injections && { injections: options.injections.map(fromHere) }),
			...(options.volumes && { volumes: options.volumes.map(fromHere) }),
		},
		labels: { ...args.labels, labels: variablesOf(labels, '--label') },
		sandbox: { limits: { ...args.sandbox.limits, ...options.limits }, assembleTimeout },
		runtime: {
			...args.runtime,
			...(runtime && { artifacts: [...(runtime.artifacts ?? [])], image: nameOf(runtime.image) }),
		},
		incremental: { ...args.incremental, ...options.incremental },
		output: {
			...args.output,
			making: { ...args.output.making, ...pick(options, ['timestamp', 'checkReproducible', 'reuse']) },
		},
		host: {
			...args.host,
			...registriesOf(options),
			...pick(options, ['isolation', 'userns', 'rootfs']),
			...(store !== undefined && { store: absolutePath(store) }),
		},
	};
}

function registriesOf(options: RegistryOptions): Partial<BuildArguments['host']> {
	const { caBundle, dockerConfig } = options;
	return {
		...pick(options, ['platform', 'insecureRegistries']),
		...(caBundle !== undefined && { caBundle: absolutePath(caBundle) }),
		...(dockerConfig !== undefined && { dockerConfig: absolutePath(dockerConfig) }),
	};
}

/** Those of `names` that `from` says something for. */
function pick<T extends object, K extends keyof T>(
	from: T,
	names: readonly K[],
): { [P in K]?: Exclude<T[P], undefined> } {
	return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]]))) as {
		[P in K]?: Exclude<T[P], undefined>;
	};
}

function nameOf(image: ImageName): string {
	return typeof image === 'string' ? image : formatImageLocation(image);
}

function fromHere<T extends { readonly source: string }>(pair: T): T {
	return { ...pair, source: absolutePath(pair.source) };
}

/** Throws USAGE for a name or a value that no environment can have. */
function variablesOf(
	variables: Variables,
	option: Parameters<typeof parseAssignment>[1],
): readonly EnvironmentVariable[] {
	return Object.entries(variables).map(([name, value]) => {
		if (parseAssignment(`${name}=${value}`, option).name === name) return { name, value };
		throw new BuildError('USAGE', `${option}: ${JSON.stringify(name.slice(0, 100))} is not the name of a variable`, {
			hint: 'A name has no equals sign in it, and no space around it.',
		});
	});
}

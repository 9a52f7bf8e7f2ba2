import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import type { BuildRequest, HostRequest, RunRequest } from '../build/request.js';
import { parseImageLocation } from '../content/location.js';
import { BuildError } from '../errors.js';
import { hostPlatform, parsePlatform } from '../oci/platform.js';
import { redact } from '../redact.js';
import { parseVariable } from '../s2i/environment.js';
import type { BuildArguments } from './build-command.js';
import { closest } from './closest.js';
import type { HostArguments } from './options.js';
import type { RunArguments } from './run-command.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What `s2oci build` is asked to do. Throws USAGE or REFERENCE_INVALID; touches neither disk nor network. */
export function readBuildRequest(args: BuildArguments, env: Environment): BuildRequest {
	return {
		...readHostRequest(args, env),
		source: args.source,
		ref: args.ref,
		contextDir: args.contextDir,
		copy: args.copy,
		builder: parseImageLocation(args.builder),
		targets: [...(args.tag === undefined ? [] : [args.tag]), ...args.outputs].map(parseImageLocation),
		environment: args.environment.map(parseVariable),
	};
}

/** What `s2oci run` is asked to do; `rest` replaces the image's command. Throws USAGE or REFERENCE_INVALID. */
export function readRunRequest(args: RunArguments, rest: readonly string[], env: Environment): RunRequest {
	return {
		...readHostRequest(args, env),
		image: parseImageLocation(args.image),
		args: rest,
		environment: args.environment.map(parseVariable),
	};
}

/** `text` as one of `values`, `values[0]` when it is undefined. Throws USAGE that names `option`. */
export function oneOf<T extends string>(option: string, values: readonly [T, ...T[]], text: string | undefined): T {
	if (text === undefined) return values[0];
	const value = values.find((each) => each === text);
	if (value !== undefined) return value;
	const near = closest(text, values);
	throw new BuildError('USAGE', `${option} does not take ${JSON.stringify(redact(text).slice(0, 50))}`, {
		hint: near === undefined ? `Use one of ${values.join(', ')}.` : `Did you mean ${near}?`,
	});
}

function readHostRequest(args: HostArguments, env: Environment): HostRequest {
	const caBundle = args.caBundle ?? firstSet(env['SSL_CERT_FILE'], env['NODE_EXTRA_CA_CERTS']);
	return {
		store: resolve(args.store ?? defaultStore(env)),
		isolation: oneOf('--isolation', ['auto', 'runc', 'crun', 'bwrap'], args.isolation),
		platform: args.platform === undefined ? hostPlatform(process.arch) : parsePlatform(args.platform),
		insecureRegistries: args.insecureRegistries.map(readRegistryHost),
		caBundle: caBundle === undefined ? undefined : resolve(caBundle),
		env,
	};
}

/** The XDG specification has relative paths ignored. */
function defaultStore(env: Environment): string {
	const store = firstSet(env['S2OCI_STORE']);
	if (store !== undefined) return store;
	const cache = firstSet(env['XDG_CACHE_HOME']);
	if (cache !== undefined && isAbsolute(cache)) return join(cache, 's2oci');
	return join(firstSet(env['HOME']) ?? homedir(), '.cache/s2oci');
}

function readRegistryHost(text: string): string {
	if (/^(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?$/i.test(text)) return text.toLowerCase();
	throw new BuildError('USAGE', `--insecure-registry does not take ${JSON.stringify(redact(text).slice(0, 100))}`, {
		hint: 'Give a host with an optional port, such as registry.example:5000.',
	});
}

function firstSet(...values: readonly (string | undefined)[]): string | undefined {
	return values.find((value) => value !== undefined && value !== '');
}

import { BuildError } from '../errors.js';
import { formatPath } from './fields.js';
import { valuesOf } from './objects.js';
import type { ReadBuildConfig } from './read-build-config.js';
import type { Path, YamlObject } from './yaml-objects.js';

/** Credentials for registries out of a Secret. */
export interface RegistrySecret {
	/** How it is called in messages. */
	readonly source: string;
	/** A `config.json` of Docker, or its `auths` alone. */
	readonly text: string;
}

/** What a Secret has for git over http. */
export interface GitLogin {
	/** Undefined: that of the URL, else OpenShift's `builder`. */
	readonly username: string | undefined;
	readonly password: string | undefined;
}

/** Every Secret that a BuildConfig names for what it pulls, pushes and clones. */
export interface NamedSecrets {
	readonly push: RegistrySecret | undefined;
	/** For builder and runtime image. */
	readonly pull: RegistrySecret | undefined;
	/** By the index in `spec.source.images`. */
	readonly images: ReadonlyMap<number, RegistrySecret>;
	readonly git: GitLogin | undefined;
	/** What of the Secret for git is not used, in one line. */
	readonly left: string | undefined;
	/** The fields whose Secret is used. */
	readonly fields: ReadonlySet<string>;
}

const STRATEGY: Path = ['spec', 'strategy', 'sourceStrategy', 'pullSecret'];
const PUSH: Path = ['spec', 'output', 'pushSecret'];
const GIT: Path = ['spec', 'source', 'sourceSecret'];
/** kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg (core/v1, SecretType). */
const REGISTRY_KEYS = ['.dockerconfigjson', '.dockercfg'];
/** kubernetes.io/basic-auth, and a token in place of the password, as OpenShift takes it. */
const GIT_KEYS = ['username', 'password', 'token'];

/** The Secrets that `config` names, as far as they are among `objects`. Throws USAGE for one of another kind. */
export function readNamedSecrets(config: ReadBuildConfig, objects: readonly YamlObject[]): NamedSecrets {
	const { source, strategy, output } = config.value.spec;
	const fields = new Set<string>();
	const find = (path: Path, name: string | undefined) => {
		const values = name === undefined ? undefined : valuesOf(objects, 'Secret', name);
		if (values !== undefined) fields.add(formatPath(path));
		return values === undefined || name === undefined ? undefined : { name, values, at: config.at(path) };
	};
	const registry = (path: Path, name: string | undefined): RegistrySecret | undefined => {
		const found = find(path, name);
		const text = found && REGISTRY_KEYS.map((key) => found.values.get(key)).find((value) => value !== undefined);
		if (found !== undefined && text === undefined) throw otherKind(found, path, REGISTRY_KEYS);
		return found && text && { source: `the Secret ${found.name}`, text: text.toString('utf8') };
	};
	const images = source.images.flatMap(({ pullSecret }, index) => {
		const secret = registry(['spec', 'source', 'images', index, 'pullSecret'], pullSecret?.name);
		return secret === undefined ? [] : [[index, secret] as const];
	});
	const login = isHttp(source.git?.uri) ? find(GIT, source.sourceSecret?.name) : undefined;
	const git = gitLogin(login, fields);
	return {
		push: registry(PUSH, output.pushSecret?.name),
		pull: registry(STRATEGY, strategy.sourceStrategy.pullSecret?.name),
		images: new Map(images),
		git,
		left: git && login && leftOf(login),
		fields,
	};
}

function isHttp(uri = ''): boolean {
	return /^https?:\/\//i.test(uri);
}

interface FoundSecret {
	readonly name: string;
	readonly values: ReadonlyMap<string, Buffer>;
	readonly at: string;
}

/** A Secret with keys for ssh is not used: then its field stays among those that no build follows. */
function gitLogin(found: FoundSecret | undefined, fields: Set<string>): GitLogin | undefined {
	const [username, password, token] = GIT_KEYS.map((key) => firstLine(found?.values.get(key)));
	if (username !== undefined || password !== undefined || token !== undefined) {
		return { username, password: token ?? password };
	}
	fields.delete(formatPath(GIT));
	return undefined;
}

function leftOf({ name, values, at }: FoundSecret): string | undefined {
	const keys = [...values.keys()].filter((key) => !GIT_KEYS.includes(key));
	if (keys.length === 0) return undefined;
	return `${at}: of the Secret ${name}, ${keys.join(', ')} is not used: git takes what this host has, as GIT_SSL_CAINFO and ~/.gitconfig`;
}

/** As OpenShift reads it: what a line break or an editor added is no part of a password. */
function firstLine(value: Buffer | undefined): string | undefined {
	const line = value?.toString('utf8').split(/\r?\n/, 1)[0];
	return line === '' ? undefined : line;
}

function otherKind({ name, at }: FoundSecret, path: Path, keys: readonly string[]): BuildError {
	const message = `${at}: ${formatPath(path)} is the Secret ${name}, which has no key ${keys.join(' or ')}`;
	return new BuildError('USAGE', message, {
		hint: `Name a Secret for registries: oc create secret docker-registry ${name} --docker-server=...`,
	});
}

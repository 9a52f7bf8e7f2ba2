import { join } from 'node:path';
import * as v from 'valibot';
import { attempt, BuildError, errnoOf, isBuildError, messageOf } from '../errors.js';
import type { RepositoryName } from '../oci/reference.js';
import { readSmallFile } from '../small-file.js';
import { askHelper, type Credentials } from './credential-helper.js';
import { jobCredentials } from './job-credentials.js';

/** What was found for a repository, and in words that can be printed where it was looked for. */
export interface FoundCredentials {
	readonly credentials: Credentials | undefined;
	readonly source: string;
	/** They are the CI job's own, since no file has an entry. */
	readonly ofJob?: true;
}

/** Credentials that stand in no file of this host. */
export interface GivenCredentials {
	/** What they are called in messages. */
	readonly source: string;
	/** A `config.json` of Docker, of which only `auths` count, or those alone (`.dockercfg`). */
	readonly text: string;
}

/** Where credentials are looked for. */
export interface CredentialPlaces {
	/** Where they are looked for first, unless `dockerConfig` is given. */
	readonly given?: GivenCredentials | undefined;
	readonly env: Readonly<Record<string, string | undefined>>;
	/** Path of the one file that counts; the usual places when undefined. */
	readonly dockerConfig?: string | undefined;
}

/** An entry that only a credential helper can complete. */
interface HelperEntry {
	readonly helper: string;
	/** What the helper knows the registry as. */
	readonly server: string;
	readonly file: string;
}

const MAX_FILE = 1024 * 1024;
/** What GitLab's runner reads, in the form of a file (docs/ci/docker/using_docker_images.md). */
const AUTH_CONFIG = 'DOCKER_AUTH_CONFIG';
/** Docker's name for its Hub in credential stores. */
const HUB_SERVER = 'https://index.docker.io/v1/';
const HUB_HOSTS = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];
const entrySchema = v.looseObject({
	auth: v.nullish(v.string()),
	username: v.nullish(v.string()),
	password: v.nullish(v.string()),
	identitytoken: v.nullish(v.string()),
});
const fileSchema = v.looseObject({
	auths: v.nullish(v.record(v.string(), v.unknown())),
	credHelpers: v.nullish(v.record(v.string(), v.unknown())),
	credsStore: v.nullish(v.string()),
});
type AuthFile = v.InferOutput<typeof fileSchema>;

/**
 * The credentials for `name` from the files that podman, buildah and docker use (containers-auth.json(5)); the entry with the longest
 * matching path in the first file that has one; credential helpers are asked. Throws CREDENTIALS_INVALID, naming the file, when what is
 * needed cannot be read, or `dockerConfig` is not there. When the helper of an entry does not help, no other entry is tried (CVE-2021-41092).
 * Where no file has an entry, and nobody said which file counts, the last resort is what a CI job was given for this very registry.
 */
export async function findCredentials(
	name: RepositoryName,
	places: CredentialPlaces,
	signal: AbortSignal,
): Promise<FoundCredentials> {
	const files = authFiles(places);
	const keys = keysFor(name);
	const { given: text, dockerConfig } = places;
	const stated = text && dockerConfig === undefined ? findGiven(text, keys) : undefined;
	if (stated !== undefined) return stated;
	for (const file of files) {
		const content = await readAuthFile(file, file === places.dockerConfig);
		const found = content === undefined ? undefined : findEntry(content, keys, file);
		if (found === undefined) continue;
		return 'helper' in found ? fromHelper(found, places.env, signal) : found;
	}
	const given = isExplicit(places) ? undefined : await findOfJob(name, places.env, signal);
	return (
		given ?? { credentials: undefined, source: `no entry for ${name.registry} in ${files.join(', ') || 'any file'}` }
	);
}

/** Whoever gave them names no program of this host: helpers do not count. */
function findGiven({ source, text }: GivenCredentials, keys: readonly string[]): FoundCredentials | undefined {
	const file = parseAuth(text, source);
	const auths = file.auths ?? file;
	const found = findEntry({ auths }, keys, source);
	return found === undefined || 'helper' in found ? undefined : found;
}

function isExplicit({ env, dockerConfig }: CredentialPlaces): boolean {
	return Boolean(dockerConfig ?? env['REGISTRY_AUTH_FILE']);
}

async function findOfJob(
	name: RepositoryName,
	env: CredentialPlaces['env'],
	signal: AbortSignal,
): Promise<FoundCredentials | undefined> {
	const text = env[AUTH_CONFIG];
	const variable = `the variable ${AUTH_CONFIG}`;
	const found = text ? findEntry(parseAuth(text, variable), keysFor(name), variable) : undefined;
	if (found === undefined) return jobCredentials(name.registry, env);
	return { ...('helper' in found ? await fromHelper(found, env, signal) : found), ofJob: true };
}

/** The files that may hold credentials, first the one that counts most: only `dockerConfig`, else only `$REGISTRY_AUTH_FILE`, if given. */
export function authFiles({ env, dockerConfig }: CredentialPlaces): readonly string[] {
	const explicit = dockerConfig ?? env['REGISTRY_AUTH_FILE'];
	if (explicit) return [explicit];
	const home = env['HOME'];
	const places: readonly (readonly [string | undefined, string])[] = [
		[env['XDG_RUNTIME_DIR'], 'containers/auth.json'],
		[env['XDG_CONFIG_HOME'] ?? (home ? join(home, '.config') : undefined), 'containers/auth.json'],
		[env['DOCKER_CONFIG'] ?? (home ? join(home, '.docker') : undefined), 'config.json'],
	];
	return places.flatMap(([directory, file]) => (directory ? [join(directory, file)] : []));
}

function findEntry(
	content: AuthFile,
	keys: readonly string[],
	file: string,
): FoundCredentials | HelperEntry | undefined {
	const helpers = normalised(content.credHelpers);
	const auths = normalised(content.auths);
	const { credsStore } = content;
	for (const key of keys) {
		const helper = helpers.get(key);
		if (typeof helper === 'string' && helper !== '') return { helper, server: serverOf(key), file };
		const entry = auths.get(key);
		if (entry === undefined) continue;
		const credentials = parseEntry(entry, key, file);
		if (credentials !== undefined) return { credentials, source: `the entry for ${key} in ${file}` };
		if (credsStore) return { helper: credsStore, server: serverOf(key), file };
	}
	return credsStore ? { helper: credsStore, server: serverOf(keys.at(-1) ?? ''), file } : undefined;
}

function serverOf(key: string): string {
	const [host = ''] = key.split('/');
	return HUB_HOSTS.includes(host) ? HUB_SERVER : key;
}

async function fromHelper(
	{ helper, server, file }: HelperEntry,
	env: CredentialPlaces['env'],
	signal: AbortSignal,
): Promise<FoundCredentials> {
	const { credentials, problem } = await askHelper(helper, server, env, signal);
	const asked = `the credential helper ${helper} that ${file} names for ${server}`;
	if (credentials !== undefined) return { credentials, source: asked };
	return {
		credentials: undefined,
		source: `${asked} ${problem === undefined ? 'has no entry' : `gave nothing: ${problem}`}`,
	};
}

function parseEntry(entry: unknown, key: string, file: string): Credentials | undefined {
	if (!v.is(entrySchema, entry)) throw malformed(file, `the entry for ${key} is malformed`);
	if (entry.identitytoken) return { type: 'identity', token: entry.identitytoken };
	if (entry.username && entry.password) return { type: 'basic', username: entry.username, password: entry.password };
	if (!entry.auth) return undefined;
	const text = Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '');
	const colon = text.indexOf(':');
	if (colon < 1) throw malformed(file, `the auth of the entry for ${key} is not base64 of user:password`);
	return { type: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function keysFor(name: RepositoryName): readonly string[] {
	const hosts = HUB_HOSTS.includes(name.registry) ? HUB_HOSTS : [name.registry.toLowerCase()];
	const components = name.path.split('/');
	const paths = components.map((_part, index) => `/${components.slice(0, components.length - index).join('/')}`);
	return [...paths, ''].flatMap((path) => hosts.map((host) => `${host}${path}`));
}

// Docker's older keys are URLs: https://index.docker.io/v1/ is the key of Docker Hub.
function normalised(entries: Readonly<Record<string, unknown>> | null | undefined): ReadonlyMap<string, unknown> {
	const pairs = Object.entries(entries ?? {}).map(([key, value]) => {
		const bare = key
			.replace(/^https?:\/\//i, '')
			.replace(/\/+$/, '')
			.replace(/^([^/]+)\/v[12]$/, '$1');
		const slash = bare.indexOf('/');
		const host = slash === -1 ? bare : bare.slice(0, slash);
		return [host.toLowerCase() + bare.slice(host.length), value] as const;
	});
	return new Map(pairs);
}

/** Undefined for a file that is not there, unless it `mustExist`. */
async function readAuthFile(file: string, mustExist: boolean): Promise<AuthFile | undefined> {
	try {
		return parseAuth((await readSmallFile(file, MAX_FILE)).toString('utf8'), file);
	} catch (error) {
		if (isBuildError(error)) throw error;
		const isAbsent = ['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(error) ?? '');
		if (isAbsent && !mustExist) return undefined;
		throw malformed(file, messageOf(error));
	}
}

function parseAuth(text: string, file: string): AuthFile {
	// The message of a JSON error quotes the text around it, which may be a secret.
	const value = attempt((): unknown => JSON.parse(text));
	if (value === undefined) throw malformed(file, 'it is not valid JSON');
	if (!Array.isArray(value) && v.is(fileSchema, value)) return value;
	throw malformed(file, 'it is not an object with auths');
}

function malformed(file: string, why: string): BuildError {
	return new BuildError('CREDENTIALS_INVALID', `cannot use the credentials in ${file}: ${why}`, {
		hint: `Log in again (podman login, docker login, skopeo login), or correct ${file}.`,
	});
}

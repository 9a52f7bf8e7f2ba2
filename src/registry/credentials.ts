import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { BuildError, errnoOf, messageOf } from '../errors.js';
import type { RepositoryName } from '../oci/reference.js';

/** What proves who we are to a registry. Never printed. */
export type Credentials =
	| { readonly type: 'basic'; readonly username: string; readonly password: string }
	| { readonly type: 'identity'; readonly token: string };

/** What was found for a repository, and in words that can be printed where it was looked for. */
export interface FoundCredentials {
	readonly credentials: Credentials | undefined;
	readonly source: string;
}

const MAX_FILE = 1024 * 1024;
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
 * matching path in the first file that has one. Throws CREDENTIALS_INVALID, naming the file, when what is needed cannot be read.
 * An entry that needs a credential helper yields none and never falls through to another entry (CVE-2021-41092).
 */
export async function findCredentials(
	name: RepositoryName,
	env: Readonly<Record<string, string | undefined>>,
): Promise<FoundCredentials> {
	const files = authFiles(env);
	const keys = keysFor(name);
	for (const file of files) {
		const content = await readAuthFile(file);
		const found = content === undefined ? undefined : findEntry(content, keys, file);
		if (found !== undefined) return found;
	}
	return { credentials: undefined, source: `no entry for ${name.registry} in ${files.join(', ') || 'any file'}` };
}

/** The files that may hold credentials, first the one that counts most; only `$REGISTRY_AUTH_FILE` when that is set. */
export function authFiles(env: Readonly<Record<string, string | undefined>>): readonly string[] {
	const explicit = env['REGISTRY_AUTH_FILE'];
	if (explicit) return [explicit];
	const home = env['HOME'];
	const places: readonly (readonly [string | undefined, string])[] = [
		[env['XDG_RUNTIME_DIR'], 'containers/auth.json'],
		[env['XDG_CONFIG_HOME'] ?? (home ? join(home, '.config') : undefined), 'containers/auth.json'],
		[env['DOCKER_CONFIG'] ?? (home ? join(home, '.docker') : undefined), 'config.json'],
	];
	return places.flatMap(([directory, file]) => (directory ? [join(directory, file)] : []));
}

function findEntry(content: AuthFile, keys: readonly string[], file: string): FoundCredentials | undefined {
	const helpers = normalised(content.credHelpers);
	const auths = normalised(content.auths);
	for (const key of keys) {
		if (helpers.get(key)) return needsHelper(key, file);
		const entry = auths.get(key);
		if (entry === undefined) continue;
		const credentials = parseEntry(entry, key, file);
		if (credentials !== undefined) return { credentials, source: `the entry for ${key} in ${file}` };
		if (content.credsStore) return needsHelper(key, file);
	}
	return content.credsStore ? needsHelper(keys.at(-1) ?? '', file) : undefined;
}

function needsHelper(key: string, file: string): FoundCredentials {
	const source = `${file} leaves ${key} to a credential helper, which s2oci does not support yet: log in with a plain auth entry`;
	return { credentials: undefined, source };
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

async function readAuthFile(file: string): Promise<AuthFile | undefined> {
	try {
		if ((await stat(file)).size > MAX_FILE) throw malformed(file, 'it is larger than 1 MiB');
		const value: unknown = JSON.parse(await readFile(file, 'utf8'));
		if (!Array.isArray(value) && v.is(fileSchema, value)) return value;
	} catch (error) {
		if (error instanceof BuildError) throw error;
		const code = errnoOf(error);
		if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return undefined;
		// The message of a JSON error quotes the text around it, which may be a secret.
		throw malformed(file, code === undefined ? 'it is not valid JSON' : messageOf(error));
	}
	throw malformed(file, 'it is not an object with auths');
}

function malformed(file: string, why: string): BuildError {
	return new BuildError('CREDENTIALS_INVALID', `cannot use the credentials in ${file}: ${why}`, {
		hint: `Log in again (podman login, docker login, skopeo login), or correct ${file}.`,
	});
}

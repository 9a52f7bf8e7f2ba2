import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach } from 'vitest';
import { readBytes } from '../../src/content/verify.js';
import { digestOf } from '../../src/oci/digest.js';
import { openRegistries, type Registries } from '../../src/registry/registries.js';
import type { Repository } from '../../src/registry/repository.js';
import { descriptorOf } from './images.js';
import { type Faults, startRegistry, type TestRegistry } from './registry.js';

/** Ends what a test started after half a minute. */
export let signal: AbortSignal;
/** The user whom test registries know. */
export const user: { readonly username: string; readonly password: string } = {
	username: 'alice',
	password: 'canary-password',
};
const auth = Buffer.from(`${user.username}:${user.password}`).toString('base64');
let directory: string;
let authFile: string;
const closing: (() => Promise<void>)[] = [];
/** How long the client of this test waited between attempts, in ms. */
export const waits: number[] = [];
/** What registries had to say to the client of this test. */
export const warnings: string[] = [];
/** Why the client of this test tried again. */
export const retries: string[] = [];

beforeEach(async () => {
	signal = AbortSignal.timeout(30_000);
	directory = await mkdtemp(join(tmpdir(), 's2oci-faults-'));
	authFile = join(directory, 'auth.json');
	waits.length = 0;
	retries.length = 0;
	warnings.length = 0;
});

afterEach(async () => {
	for (const close of closing.splice(0)) await close();
	await rm(directory, { recursive: true, force: true });
});

/** A registry with `faults` that is closed after the test. */
export async function start(faults: Faults = {}): Promise<TestRegistry> {
	const registry = await startRegistry(faults);
	closing.push(() => registry.close());
	return registry;
}

/** A registry client that does not really wait, closed after the test. */
export function connect(env: Record<string, string> = { REGISTRY_AUTH_FILE: authFile }): Registries {
	const registries = openRegistries({
		env,
		insecureRegistries: [],
		caBundle: undefined,
		userAgent: 's2oci/test',
		sleep: (ms) => {
			waits.push(ms);
			return Promise.resolve();
		},
		onRetry: ({ reason }) => retries.push(reason),
		onWarning: ({ host, text }) => warnings.push(`${host}: ${text}`),
	});
	closing.push(() => registries.close());
	return registries;
}

/** Writes the auth file that {@link connect} reads. */
export async function logIn(host: string, entry: Record<string, string> = { auth }): Promise<void> {
	await writeFile(authFile, JSON.stringify({ auths: { [host]: entry } }));
}

/** A credential helper that gives what `answer` said last, and the variables with which {@link connect} finds it. */
export async function writeHelper(): Promise<{
	readonly env: Record<string, string>;
	readonly answer: (credentials: { readonly username: string; readonly password: string }) => Promise<void>;
}> {
	const [program, file] = [join(directory, 'docker-credential-test'), join(directory, 'answer.json')];
	await writeFile(program, `#!/bin/sh\ncat ${file}\n`);
	await chmod(program, 0o755);
	await writeFile(authFile, JSON.stringify({ credsStore: 'test' }));
	return {
		env: { REGISTRY_AUTH_FILE: authFile, PATH: `${directory}:/usr/bin:/bin` },
		answer: ({ username: Username, password: Secret }) => writeFile(file, JSON.stringify({ Username, Secret })),
	};
}

/** Puts a blob into the registry behind the client's back. */
export function seed(
	registry: TestRegistry,
	bytes: Uint8Array,
	repository = 'team/app',
): ReturnType<typeof descriptorOf> {
	const blob = descriptorOf(bytes);
	registry.blobs.set(`${repository}@${blob.digest}`, bytes);
	return blob;
}

/** What the registry has under the digest of `bytes`. */
export function stored(registry: TestRegistry, bytes: Uint8Array): Uint8Array {
	return registry.blobs.get(`team/app@${digestOf(bytes)}`) ?? Buffer.from('nothing');
}

/** Uploads `bytes`. */
export async function put(repository: Repository, bytes: Uint8Array): Promise<void> {
	await repository.put(
		descriptorOf(bytes),
		() => Promise.resolve(Readable.from([bytes], { objectMode: false })),
		signal,
	);
}

/** The repository `path` of `registry`, through a client of its own unless one is given. */
export function repositoryOf(
	registry: TestRegistry,
	path = 'team/app',
	registries: Registries = connect(),
): Repository {
	return registries.open({ registry: registry.host, path });
}

/** Downloads what has the digest of `bytes`. */
export async function pull(repository: Repository, bytes: Uint8Array): Promise<Uint8Array> {
	return readBytes(await repository.open(descriptorOf(bytes), signal), bytes.length + 10, 'the blob');
}

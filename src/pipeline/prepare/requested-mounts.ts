import { readdir, realpath } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { BuildError, messageOf } from '../../errors.js';
import type { HostBind } from '../../protocol/host-bind.js';
import type { Inspected } from '../../protocol/worker-calls.js';
import { isWithin } from '../../root-path.js';
import { KERNEL_DIRECTORIES } from '../../sandbox/kernel-paths.js';
import { readSmallFile } from '../../small-file.js';
import type { AssembleRequest, HostRequest, Secret, ShownFile } from '../request.js';
import { type FoundSource, findHostSource, lookAtSource, writableVolumes } from './host-files.js';

/** Directories of the image that matter for mounts; absolute. */
export interface ImageDirectories {
	readonly workingDir: string;
	/** The one that holds `src`, `scripts` and `artifacts`. */
	readonly destination: string;
}

const SECRETS = '/run/secrets';
const SECRET_LIMIT = 1 << 20;
const SECRET_MODE = 0o400;
const OUR_DIRECTORIES: readonly string[] = ['src', 'scripts', 'artifacts'];

/**
 * What of the host assemble sees for `--inject`, `--volume`, `--secret` and a BuildConfig; nothing of it is ever in the layer. Throws USAGE, before
 * anything runs, when a source is missing or unreadable, when a destination is impossible, or when two would be in the same place.
 */
export async function planMounts(
	{ injections, files = [], volumes, secrets }: Pick<AssembleRequest, 'injections' | 'files' | 'volumes' | 'secrets'>,
	env: HostRequest['env'],
	image: ImageDirectories,
	inspect: InspectImage,
): Promise<readonly HostBind[]> {
	const binds: HostBind[] = [];
	const writable = await writableVolumes(volumes);
	for (const { source, destination } of injections) {
		const found = await findHostSource('--inject', source, writable);
		binds.push(...(await placeInjection(found, source, insideImage(destination, image), beside(inspect, image))));
	}
	for (const { source, destination, readOnly } of volumes) {
		const { path, inode, type } = await findHostSource('--volume', source, writable);
		const place = insideImage(destination, image);
		const [there] = await inspect([place]);
		if (there !== undefined && ![type, 'missing'].includes(there.type)) throw typesDiffer('--volume', source, place);
		binds.push({ source: { type: 'itself', path, inode }, destination: place, type, readOnly });
	}
	for (const file of files) binds.push(await bindFile(file, image, inspect));
	for (const secret of secrets) binds.push(await bindSecret(secret, env, writable));
	refuseDestinations(binds, image);
	return binds;
}

/** Where a destination is: relative ones below WORKDIR. */
function insideImage(destination: string, { workingDir }: ImageDirectories): string {
	return posix.resolve('/', workingDir, destination);
}

/** WORKDIR is made when the image does not have it, as a container's is. */
function beside(inspect: InspectImage, { workingDir }: ImageDirectories): InspectImage {
	const clean = posix.resolve('/', workingDir);
	return async (paths) => {
		const found = await inspect(paths);
		return found.map((each, index) =>
			each.type === 'missing' && paths[index] === clean ? { ...each, type: 'directory' as const } : each,
		);
	};
}

async function bindSecret(secret: Secret, env: HostRequest['env'], writable: readonly string[]): Promise<HostBind> {
	const { id } = secret;
	const option = `--secret id=${id}`;
	if (!/^[\w.-]+$/.test(id) || /^\.\.?$/.test(id)) {
		throw new BuildError('USAGE', `${option}: an id has letters, digits, '.', '_' and '-' only`, {
			hint: `assemble finds the value in ${SECRETS}/ID.`,
		});
	}
	const value = await readSecretValue(secret, env, writable);
	return bindContent(value, `${SECRETS}/${id}`);
}

async function bindFile({ destination, content }: ShownFile, image: ImageDirectories, inspect: InspectImage) {
	const place = insideImage(destination, image);
	const [there] = await inspect([place]);
	if (there?.type !== 'directory') return bindContent(content, place);
	throw new BuildError('USAGE', `a file cannot be shown at ${place}: the builder image has a directory there`, {
		hint: 'Choose another destination for the Secret or ConfigMap.',
	});
}

function bindContent(content: Uint8Array, destination: string): HostBind {
	const source = { type: 'content', base64: Buffer.from(content).toString('base64'), mode: SECRET_MODE } as const;
	return { source, destination, type: 'file', readOnly: true };
}

/** The value of a secret, at most 1 MiB, read through no link below the volumes `writable`. Throws USAGE. */
export async function readSecretValue(
	{ id, from }: Secret,
	env: HostRequest['env'],
	writable: readonly string[],
): Promise<Buffer> {
	const option = `--secret id=${id}`;
	const value =
		'file' in from ? await readSecret(option, from.file, writable) : readVariable(option, from.variable, env);
	if (value.length > SECRET_LIMIT) throw tooLarge(option);
	return value;
}

async function readSecret(option: string, file: string, writable: readonly string[]): Promise<Buffer> {
	const { path, type } = await findHostSource(option, file, writable);
	if (type === 'directory') {
		throw new BuildError('USAGE', `${option}: ${file} is a directory`, { hint: 'Use --inject for directories.' });
	}
	return readSmallFile(path, SECRET_LIMIT).catch((cause: unknown) => {
		throw new BuildError('USAGE', `${option}: ${file} cannot be used: ${messageOf(cause)}`, {
			hint: 'Name a file of at most 1 MiB that you may read; for large files use --inject or --volume.',
			cause,
		});
	});
}

function readVariable(option: string, variable: string, env: HostRequest['env']): Buffer {
	const value = env[variable];
	if (value !== undefined) return Buffer.from(value);
	throw new BuildError('USAGE', `${option}: the environment variable ${variable} is not set`, {
		hint: `Set ${variable} where s2oci runs, or use src=FILE.`,
	});
}

/** The kernel's directories, and those that the build itself moves into place once everything is mounted. */
function refuseDestinations(binds: readonly HostBind[], { destination }: ImageDirectories): void {
	const kernels = KERNEL_DIRECTORIES.map((name) => `/${name}`);
	const ours = OUR_DIRECTORIES.map((name) => join(destination, name));
	const seen = new Set<string>();
	for (const bind of binds) {
		const refused = [...kernels, ...ours].find((path) => isWithin(bind.destination, path));
		if (bind.destination === '/' || refused !== undefined) throw impossible(bind.destination, refused ?? '/');
		if (ours.some((path) => isWithin(path, bind.destination))) throw impossible(bind.destination, ours[0] ?? '');
		if (seen.has(bind.destination)) throw twice(bind.destination);
		seen.add(bind.destination);
	}
}

function tooLarge(option: string): BuildError {
	return new BuildError('USAGE', `${option}: the value is larger than 1 MiB`, {
		hint: 'Use --inject or --volume for large files.',
	});
}

function impossible(destination: string, directory: string): BuildError {
	return new BuildError('USAGE', `nothing can be mounted at ${destination}: ${directory} is the build's own`, {
		hint: 'Choose another destination for --inject or --volume.',
	});
}

function twice(destination: string): BuildError {
	return new BuildError('USAGE', `two things of the host would be mounted at ${destination}`, {
		hint: 'Give each --inject, --volume and --secret a destination of its own.',
	});
}

const TYPE_HINTS = {
	'--inject':
		'A file cannot take the place of a directory, nor a directory that of a file. Choose another destination.',
	'--volume': 'Mount a file over a file and a directory over a directory.',
};

function typesDiffer(option: keyof typeof TYPE_HINTS, source: string, destination: string): BuildError {
	const message = `${option}: ${destination} of the builder image is of another type than ${source}`;
	return new BuildError('USAGE', message, { hint: TYPE_HINTS[option] });
}

/** Looks at absolute paths of the image, following its links inside of it; answers in their order. */
type InspectImage = (paths: readonly string[]) => Promise<readonly Inspected[]>;

const OPTION = '--inject';
/** Each is a mount of its own. */
const BIND_LIMIT = 500;

/**
 * Where an injection is seen, as S2I uploads it: what exists is not replaced but added to, so that the entries of a directory are mounted
 * one by one in a directory of the image, and the image's directory itself stays writable. A file whose destination does not exist is seen
 * there (S2I: below it). `option` is what was given, for messages. Throws USAGE when the parent of the destination is missing,
 * when types differ, or when there would be too many mounts.
 */
async function placeInjection(
	source: FoundSource,
	name: string,
	destination: string,
	inspect: InspectImage,
): Promise<readonly HostBind[]> {
	const parent = join(destination, '..');
	const [there, above] = await inspect([destination, parent]);
	if (there === undefined || there.type === 'missing') {
		if (above?.type !== 'directory') throw noParent(destination, parent);
		return [bindOf(source, destination)];
	}
	if (source.type === 'directory') return placeEntries(source, name, destination, there, inspect);
	if (there.type !== 'directory') return [bindOf(source, destination)];
	const inside = join(destination, basename(name));
	const [taken] = await inspect([inside]);
	if (taken?.type === 'directory') throw typesDiffer('--inject', name, inside);
	return [bindOf(source, inside)];
}

async function placeEntries(
	source: FoundSource,
	name: string,
	destination: string,
	there: Inspected,
	inspect: InspectImage,
): Promise<readonly HostBind[]> {
	if (there.type !== 'directory') throw typesDiffer('--inject', name, destination);
	const names = (await readdir(source.path)).filter((entry) => entry !== '.git').sort();
	if (names.length > BIND_LIMIT) throw tooMany(name, destination);
	const found = await inspect(names.map((entry) => join(destination, entry)));
	const binds: HostBind[] = [];
	for (const [index, entry] of names.entries()) {
		const [path, typed] = [join(destination, entry), join(name, entry)];
		const inner = await findEntry(source, entry, typed);
		const type = found[index]?.type ?? 'missing';
		if (type === 'missing' || (inner.type === 'file' && type !== 'directory')) binds.push(bindOf(inner, path));
		else if (inner.type === 'file') throw typesDiffer('--inject', typed, path);
		else binds.push(...(await placeEntries(inner, typed, path, found[index] ?? there, inspect)));
		if (binds.length > BIND_LIMIT) throw tooMany(name, destination);
	}
	return binds;
}

/** A link cannot be mounted as such: what it leads to is, if that is injected, too, as in a secret volume of Kubernetes. */
async function findEntry(source: FoundSource, entry: string, typed: string): Promise<FoundSource> {
	const path = await realpath(join(source.path, entry)).catch(() => undefined);
	if (path?.startsWith(`${source.path}/`) === true) return lookAtSource(OPTION, path, typed);
	throw new BuildError('USAGE', `${OPTION}: the link ${typed} leads out of the directory that is injected`, {
		hint: 'Choose a destination that does not exist in the builder image, where links stay links, or use --volume.',
	});
}

function bindOf({ path, inode, type }: FoundSource, destination: string): HostBind {
	return { source: { type: 'copy', path, inode }, destination, type, readOnly: true };
}

function noParent(destination: string, parent: string): BuildError {
	const message = `${OPTION}: ${destination} cannot be made, since ${parent} is no directory of the builder image`;
	return new BuildError('USAGE', message, {
		hint: 'Choose a destination whose parent directory the builder image has.',
	});
}

function tooMany(name: string, destination: string): BuildError {
	return new BuildError('USAGE', `${OPTION}: ${name} has more than ${BIND_LIMIT} entries to add to ${destination}`, {
		hint: 'Choose a destination that does not exist in the builder image, or use --volume.',
	});
}

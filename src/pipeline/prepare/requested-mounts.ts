import { join, posix } from 'node:path';
import { BuildError, messageOf } from '../../errors.js';
import type { HostBind } from '../../protocol/host-bind.js';
import { isWithin } from '../../root-path.js';
import { KERNEL_DIRECTORIES } from '../../sandbox/kernel-paths.js';
import { readSmallFile } from '../../small-file.js';
import type { AssembleRequest, HostRequest, Secret } from '../request.js';
import { findHostSource, writableVolumes } from './host-source.js';
import { type InspectImage, placeInjection } from './injection.js';

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
 * What of the host assemble sees for `--inject`, `--volume` and `--secret`; nothing of it is ever in the layer. Throws USAGE, before
 * anything runs, when a source is missing or unreadable, when a destination is impossible, or when two would be in the same place.
 */
export async function planMounts(
	{ injections, volumes, secrets }: Pick<AssembleRequest, 'injections' | 'volumes' | 'secrets'>,
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
		if (there !== undefined && ![type, 'missing'].includes(there.type)) throw typesDiffer(source, place);
		binds.push({ source: { type: 'itself', path, inode }, destination: place, type, readOnly });
	}
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
	const source = { type: 'content', base64: value.toString('base64'), mode: SECRET_MODE } as const;
	return { source, destination: `${SECRETS}/${id}`, type: 'file', readOnly: true };
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

function typesDiffer(source: string, destination: string): BuildError {
	return new BuildError('USAGE', `--volume: ${destination} of the builder image is of another type than ${source}`, {
		hint: 'Mount a file over a file and a directory over a directory.',
	});
}

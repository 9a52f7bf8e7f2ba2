import { access, constants, lstat, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, errnoOf, isBuildError, messageOf } from '../../errors.js';
import { type InodeName, inodeName } from '../../inode-name.js';
import type { HostBind } from '../../protocol/host-bind.js';
import { lookAt, resolveLinks } from '../../resolve-links.js';
import { isWithin } from '../../root-path.js';
import { type Limits, NO_LIMITS } from '../../sandbox/limits.js';
import { readSmallFile } from '../../small-file.js';
import type { BuildContext } from '../context.js';
import type { AssembleRequest } from '../request.js';

/** Where assemble finds the certificate authorities of the host; never part of the image. */
export const CA_BUNDLE_PATH = '/run/s2oci/ca-bundle.crt';

const OPTION = '--ca-bundle';
const MAX_BUNDLE = 16 << 20;

/** The files of the host that a process is shown: name resolution works inside as outside, and so does TLS. `scratch` is for what is made. */
export async function hostFiles(
	{ caBundle, limits = NO_LIMITS }: { readonly caBundle?: string | undefined; readonly limits?: Limits | undefined },
	scratch: string,
): Promise<readonly HostBind[]> {
	const hosts = await hostsFile(limits, scratch);
	const wanted = [
		{ source: '/etc/resolv.conf', destination: '/etc/resolv.conf' },
		{ source: hosts, destination: '/etc/hosts' },
		...(caBundle === undefined ? [] : [{ source: caBundle, destination: CA_BUNDLE_PATH }]),
	];
	const there = await Promise.all(
		wanted.map(async (file): Promise<readonly HostBind[]> => {
			const source = await realpath(file.source).catch(() => undefined);
			if (source === undefined) return [];
			const { destination } = file;
			return [{ source: { type: 'copy', path: source, mode: 0o644 }, destination, type: 'file', readOnly: true }];
		}),
	);
	return there.flat();
}

/** The same for the scripts of a build. Throws USAGE for a `--ca-bundle` that is behind a link which a script may have made. */
export async function hostFilesOf({ request, session }: BuildContext): Promise<readonly HostBind[]> {
	const { host, assemble } = request;
	const caBundle = host.caBundle && (await copyBundle(host.caBundle, assemble.volumes, session.scratch));
	return hostFiles({ caBundle, limits: assemble.limits }, session.scratch);
}

/** A copy that is made before any script runs that could change the file; undefined when there is none. */
async function copyBundle(
	caBundle: string,
	volumes: AssembleRequest['volumes'],
	scratch: string,
): Promise<string | undefined> {
	const copy = join(scratch, 'ca-bundle.crt');
	if ((await lookAt(copy)) !== undefined) return copy;
	if ((await stat(caBundle).catch(() => undefined)) === undefined) return undefined;
	const { path } = await findHostSource(OPTION, caBundle, await writableVolumes(volumes));
	const content = await readSmallFile(path, MAX_BUNDLE).catch((cause: unknown) => {
		throw new BuildError('USAGE', `${OPTION}: ${caBundle} cannot be used: ${messageOf(cause)}`, {
			hint: 'Name a file of certificates that you may read, of at most 16 MiB.',
			cause,
		});
	});
	await writeFile(copy, content, { flag: 'wx', mode: 0o644 });
	return copy;
}

/** The host's /etc/hosts with the lines of `--add-host`: itself when there are none, else a file in `scratch`. */
export async function hostsFile({ addHosts }: Pick<Limits, 'addHosts'>, scratch: string): Promise<string> {
	if (addHosts.length === 0) return '/etc/hosts';
	const own = await readFile('/etc/hosts', 'utf8').catch(() => '127.0.0.1\tlocalhost\n::1\tlocalhost\n');
	const lines = addHosts.map(({ name, address }) => `${address}\t${name}\n`);
	const path = join(scratch, 'hosts');
	// The first line that has a name is the one that counts.
	await writeFile(path, `${lines.join('')}${own}`, { mode: 0o644 });
	return path;
}

/** A file or directory of the host that exists and can be read. */
export interface FoundSource {
	/** Free of links. */
	readonly path: string;
	/** Scripts may change what is at `path` before it is shown, so whoever opens it compares. */
	readonly inode: InodeName;
	readonly type: 'file' | 'directory';
}

/** The directories of `volumes` that scripts may write to, free of links; those that do not exist are left out. */
export async function writableVolumes(volumes: AssembleRequest['volumes']): Promise<readonly string[]> {
	const writable = volumes.filter(({ readOnly }) => !readOnly);
	const found = await Promise.all(writable.map(({ source }) => realpath(source).catch(() => undefined)));
	return found.filter((path) => path !== undefined);
}

/**
 * Looks for what `option`, such as `--inject`, names. A link below one of the directories `writable` is not followed: a script of this
 * build, or of an earlier one, may have made it. Throws USAGE for one, and for what is missing, unreadable, or neither file nor directory.
 */
export async function findHostSource(
	option: string,
	source: string,
	writable: readonly string[],
): Promise<FoundSource> {
	const refuse = (link: string) => {
		if (writable.some((directory) => isWithin(link, directory))) throw linked(option, source, link);
	};
	const resolved = await resolveLinks(source, refuse).catch((error: unknown) => {
		throw notFound(option, source, error);
	});
	// What a shell passes as /dev/fd/N is an open file.
	const path = isWithin(resolved, '/proc') ? await realpath(resolved).catch(() => resolved) : resolved;
	return lookAtSource(option, path, source);
}

/** Looks at `path`, which is free of links and was asked for as `source`. Throws USAGE as {@link findHostSource} does. */
export async function lookAtSource(option: string, path: string, source: string): Promise<FoundSource> {
	try {
		const stats = await lstat(path, { bigint: true });
		const inode = inodeName(stats);
		await access(path, stats.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
		if (stats.isDirectory()) return { path, inode, type: 'directory' };
		if (stats.isFile()) return { path, inode, type: 'file' };
	} catch (error) {
		throw notFound(option, source, error);
	}
	throw new BuildError('USAGE', `${option}: ${source} is neither a file nor a directory`, {
		hint: 'Sockets and devices of the host cannot be shown to a build.',
	});
}

function linked(option: string, source: string, link: string): BuildError {
	const message = `${option}: ${source} leads through the link ${link}, below a volume that scripts may write`;
	return new BuildError('USAGE', message, {
		hint: 'A script may have made it. Name what it leads to, if that is what you mean, or mount the volume with :ro.',
	});
}

function notFound(option: string, source: string, cause: unknown): BuildError {
	if (isBuildError(cause)) return cause;
	const missing = ['ENOENT', 'ENOTDIR'].includes(errnoOf(cause) ?? '');
	const what = missing ? 'does not exist' : `cannot be read: ${messageOf(cause)}`;
	return new BuildError('USAGE', `${option}: ${source} ${what}`, {
		hint: 'Name a file or directory that you may read; relative names start at the current directory.',
		cause,
	});
}

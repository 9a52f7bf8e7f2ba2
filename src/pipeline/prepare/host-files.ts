import { readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, messageOf } from '../../errors.js';
import type { HostBind } from '../../protocol/host-bind.js';
import { lookAt } from '../../resolve-links.js';
import { type Limits, NO_LIMITS } from '../../sandbox/limits.js';
import { readSmallFile } from '../../small-file.js';
import type { BuildContext } from '../context.js';
import type { AssembleRequest } from '../request.js';
import { findHostSource, writableVolumes } from './host-source.js';

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

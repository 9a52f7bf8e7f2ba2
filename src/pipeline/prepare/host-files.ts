import { readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostBind } from '../../protocol/host-bind.js';
import { type Limits, NO_LIMITS } from '../../sandbox/limits.js';
import type { BuildContext } from '../context.js';

/** Where assemble finds the certificate authorities of the host; never part of the image. */
export const CA_BUNDLE_PATH = '/run/s2oci/ca-bundle.crt';

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

/** The same for the scripts of a build. */
export function hostFilesOf({ request, session }: BuildContext): Promise<readonly HostBind[]> {
	const { host, assemble } = request;
	return hostFiles({ caBundle: host.caBundle, limits: assemble.limits }, session.scratch);
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

import { access, realpath } from 'node:fs/promises';
import type { HostBind } from '../../protocol/host-bind.js';

/** Where assemble finds the certificate authorities of the host; never part of the image. */
export const CA_BUNDLE_PATH = '/run/s2oci/ca-bundle.crt';

/** The files of the host that a process is shown: name resolution works inside as outside, and so does TLS. */
export async function hostFiles(caBundle: string | undefined, hosts = '/etc/hosts'): Promise<readonly HostBind[]> {
	const wanted = [
		{ source: '/etc/resolv.conf', destination: '/etc/resolv.conf' },
		{ source: hosts, destination: '/etc/hosts' },
		...(caBundle === undefined ? [] : [{ source: caBundle, destination: CA_BUNDLE_PATH }]),
	];
	const there = await Promise.all(
		wanted.map(async (file): Promise<readonly HostBind[]> => {
			const source = await realpath(file.source).catch(() => undefined);
			const readable =
				source !== undefined &&
				(await access(source).then(
					() => true,
					() => false,
				));
			if (!readable) return [];
			const { destination } = file;
			return [{ source: { type: 'copy', path: source, mode: 0o644 }, destination, type: 'file', readOnly: true }];
		}),
	);
	return there.flat();
}
